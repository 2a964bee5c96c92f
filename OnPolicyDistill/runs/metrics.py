"""Metrics, each declared once: key, title, unit, which way is better, and what it means."""

from __future__ import annotations

from typing import Literal, assert_never

from pydantic import BaseModel, ConfigDict

Better = Literal["lower", "higher", "neither"]
Group = Literal["learning", "evaluation", "speed", "memory", "cache", "rollouts"]


class Metric(BaseModel):
    """A named number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    title: str
    unit: str
    better: Better
    group: Group
    meaning: str

    def gain(self, before: float, after: float) -> float:
        """How much better a value became: negative where it became worse, 0 where neither is."""
        match self.better:
            case "higher":
                return after - before
            case "lower":
                return before - after
            case "neither":
                return 0.0
            case _:
                assert_never(self.better)


def _metric(key: str, title: str, unit: str, better: Better, group: Group, meaning: str) -> Metric:
    return Metric(key=key, title=title, unit=unit, better=better, group=group, meaning=meaning)


_DECLARED = (
    _metric("loss", "Loss", "nats", "lower", "learning", "kl_weight * KL + ce_weight * CE."),
    _metric(
        "divergence",
        "Divergence",
        "nats/token",
        "lower",
        "learning",
        "The trained divergence at the loss temperature, mean over the step's completion tokens, "
        "without the T^2 factor.",
    ),
    _metric(
        "cross_entropy",
        "Cross-entropy",
        "nats/token",
        "lower",
        "learning",
        "-log of the student's probability for the hard label, mean over tokens.",
    ),
    _metric(
        "sampled_reverse_kl",
        "Sampled reverse KL",
        "nats/token",
        "lower",
        "learning",
        "Mean of student minus teacher logprob on the sampled tokens at temperature 1.",
    ),
    _metric("agreement", "Agreement", "share", "higher", "learning", "Equal argmax, on rollouts."),
    _metric(
        "reuse_weight",
        "Weight of rollouts",
        "",
        "neither",
        "learning",
        "Mean importance weight of rollouts that are used again; 1 where the student is unchanged.",
    ),
    _metric("entropy", "Student entropy", "nats/token", "neither", "learning", "Next token's."),
    _metric("grad_norm", "Gradient norm", "", "neither", "learning", "Before clipping."),
    _metric("learning_rate", "Learning rate", "", "neither", "learning", "Of this step."),
    _metric("num_tokens", "Tokens", "tokens", "neither", "rollouts", "Completion tokens."),
    _metric(
        "completion_tokens", "Completion length", "tokens", "neither", "rollouts", "Mean length."
    ),
    _metric(
        "truncated_share",
        "Truncated",
        "share",
        "lower",
        "rollouts",
        "Completions cut by max_generation_tokens, without an end token; not those stopped at "
        "loss_tokens.",
    ),
    _metric("step_seconds", "Step", "s", "lower", "speed", "Wall clock of the whole step."),
    _metric("sampling_seconds", "Sampling", "s", "lower", "speed", "Student completions."),
    _metric("scoring_seconds", "Scoring", "s", "lower", "speed", "Teacher targets."),
    _metric("learning_seconds", "Learning", "s", "lower", "speed", "Loss, gradient, update."),
    _metric("tokens_per_second", "Tokens", "tok/s", "higher", "speed", "Whole step."),
    _metric("sampling_tokens_per_second", "Sampling", "tok/s", "higher", "speed", "Decode rate."),
    _metric("active_memory_gb", "Active memory", "GB", "lower", "memory", "Arrays in MLX."),
    _metric("peak_memory_gb", "Peak memory", "GB", "lower", "memory", "MLX peak of the step."),
    _metric("cache_memory_gb", "Buffer cache", "GB", "lower", "memory", "MLX's unused buffers."),
    _metric(
        "process_memory_gb",
        "Process",
        "GB",
        "lower",
        "memory",
        "Of the training process: physical footprint on macOS, resident set size elsewhere.",
    ),
    _metric("teacher_cache_hit_rate", "Cache hits", "share", "higher", "cache", "Of this step."),
    _metric(
        "picture_cache_hit_rate",
        "Pictures known",
        "share",
        "higher",
        "cache",
        "Of this step: places of pictures whose features were kept.",
    ),
    _metric("picture_cache_mb", "Kept pictures", "MB", "neither", "cache", "Bytes held / 1e6."),
    _metric("teacher_cache_mb", "Teacher cache", "MB", "neither", "cache", "Bytes held / 1e6."),
    _metric("teacher_cache_evictions", "Evictions", "entries", "lower", "cache", "Since start."),
    _metric(
        "teacher_disk_hit_rate",
        "Disk hits",
        "share",
        "higher",
        "cache",
        "Of this step: rows that the teacher cache on disk had, among those asked of it.",
    ),
    _metric("teacher_disk_mb", "Teacher cache on disk", "MB", "neither", "cache", "Bytes / 1e6."),
    _metric(
        "teacher_disk_error",
        "Cost of keeping",
        "nats/token",
        "lower",
        "cache",
        "KL(teacher || teacher from what is kept), mean over the tokens met so far.",
    ),
    _metric(
        "eval_reverse_kl",
        "Reverse KL",
        "nats/token",
        "lower",
        "evaluation",
        "KL(student || teacher) at temperature 1 over held-out completions of the student.",
    ),
    _metric(
        "eval_off_policy_reverse_kl",
        "Reverse KL, off-policy",
        "nats/token",
        "lower",
        "evaluation",
        "KL(student || teacher) at temperature 1 over held-out completions of the teacher, where "
        "it does not stay loaded; no measure of what the student says itself.",
    ),
    _metric(
        "eval_off_policy_forward_kl",
        "Forward KL, off-policy",
        "nats/token",
        "lower",
        "evaluation",
        "KL(teacher || student) at temperature 1 over held-out completions of the teacher.",
    ),
    _metric(
        "eval_off_policy_agreement",
        "Agreement, off-policy",
        "share",
        "higher",
        "evaluation",
        "Equal argmax on held-out completions of the teacher.",
    ),
    _metric(
        "eval_off_policy_top5_agreement",
        "Top-5 agreement, off-policy",
        "share",
        "higher",
        "evaluation",
        "Positions of the teacher's completions where its top token is among the student's five "
        "best.",
    ),
    _metric(
        "eval_off_policy_student_entropy",
        "Student entropy, off-policy",
        "nats/token",
        "neither",
        "evaluation",
        "Mean, on held-out completions of the teacher.",
    ),
    _metric(
        "eval_off_policy_teacher_entropy",
        "Teacher entropy, off-policy",
        "nats/token",
        "neither",
        "evaluation",
        "Mean, on held-out completions of the teacher.",
    ),
    _metric(
        "eval_forward_kl",
        "Forward KL",
        "nats/token",
        "lower",
        "evaluation",
        "KL(teacher || student) at temperature 1 over the same positions.",
    ),
    _metric(
        "eval_reverse_kl_bound",
        "Reverse KL, at least",
        "nats/token",
        "lower",
        "evaluation",
        "Lower bound of KL(student || teacher) at temperature 1 over held-out completions of the "
        "student, where the teacher hands over its best tokens and the mass of the rest only.",
    ),
    _metric(
        "eval_forward_kl_bound",
        "Forward KL, at least",
        "nats/token",
        "lower",
        "evaluation",
        "Lower bound of KL(teacher || student) at temperature 1 over the same positions.",
    ),
    _metric(
        "eval_teacher_entropy_bound",
        "Teacher entropy, at least",
        "nats/token",
        "neither",
        "evaluation",
        "Mean, as if the rest were one token.",
    ),
    _metric(
        "eval_agreement", "Agreement", "share", "higher", "evaluation", "Equal argmax, held out."
    ),
    _metric(
        "eval_top5_agreement",
        "Top-5 agreement",
        "share",
        "higher",
        "evaluation",
        "Positions where the teacher's top token is among the student's five best.",
    ),
    _metric(
        "eval_student_entropy", "Student entropy", "nats/token", "neither", "evaluation", "Mean."
    ),
    _metric(
        "eval_teacher_entropy", "Teacher entropy", "nats/token", "neither", "evaluation", "Mean."
    ),
    _metric(
        "eval_truncated_share", "Truncated", "share", "lower", "evaluation", "Held-out completions."
    ),
    _metric(
        "eval_completion_tokens", "Completion length", "tokens", "neither", "evaluation", "Mean."
    ),
    _metric(
        "eval_loss_tokens",
        "Worth learning",
        "tokens",
        "neither",
        "evaluation",
        "Positions of a completion before the held-out divergence has flattened: less than 1 % of "
        "it lies behind. With loss_tokens: auto the next steps learn so many.",
    ),
    _metric(
        "eval_accuracy",
        "Task accuracy",
        "share",
        "higher",
        "evaluation",
        "Greedy completions that are right, where the file has answers: equal to the `answer`, or "
        "as the run's first reward that compares with it finds.",
    ),
    _metric(
        "eval_accuracy_tolerant",
        "Task accuracy, rounded",
        "share",
        "higher",
        "evaluation",
        "As task accuracy, where numbers may differ by 0.05 (answers that were rounded).",
    ),
    _metric(
        "eval_accuracy_blank",
        "Accuracy, blank picture",
        "share",
        "lower",
        "evaluation",
        "The same prompts with a blank picture: what is right without looking.",
    ),
    _metric(
        "eval_accuracy_shuffled",
        "Accuracy, another picture",
        "share",
        "lower",
        "evaluation",
        "The same prompts with another prompt's picture: what is right without looking.",
    ),
    _metric(
        "eval_closed_thoughts",
        "Closed thoughts",
        "share",
        "higher",
        "evaluation",
        "Greedy completions whose thought ends before the answer; a cut thought has no answer.",
    ),
    _metric(
        "eval_num_graded",
        "Graded prompts",
        "prompts",
        "neither",
        "evaluation",
        "Held-out prompts with an answer: what task accuracy is counted over.",
    ),
    _metric(
        "eval_teacher_accuracy",
        "Teacher's accuracy",
        "share",
        "higher",
        "evaluation",
        "The teacher's own greedy completions on the same prompts.",
    ),
    _metric(
        "eval_loss", "Held-out loss", "nats/token", "lower", "evaluation", "Assistant tokens only."
    ),
    _metric(
        "eval_shuffled_loss",
        "Held-out loss, another picture",
        "nats/token",
        "neither",
        "evaluation",
        "The same answers behind another conversation's picture: what falls here is not seen.",
    ),
    _metric(
        "eval_macro_f1",
        "Macro F1",
        "share",
        "higher",
        "evaluation",
        "Mean of the F1 of every gold label, on labelled items.",
    ),
    _metric(
        "eval_parse_rate",
        "Parse rate",
        "share",
        "higher",
        "evaluation",
        "Replies from which a label can be read.",
    ),
    _metric(
        "eval_teacher_agreement",
        "Agreement with the teacher",
        "share",
        "higher",
        "evaluation",
        "Labelled items answered as the teacher variant does, right or wrong.",
    ),
    _metric(
        "eval_seconds_per_answer",
        "Time per answer",
        "s",
        "lower",
        "speed",
        "Wall clock of a batch over its answers; loading and warm-up excluded.",
    ),
    _metric(
        "eval_tokens_per_answer", "Answer length", "tokens", "lower", "speed", "Thinking included."
    ),
    _metric("eval_seconds", "Evaluation", "s", "lower", "speed", "Wall clock of an evaluation."),
    _metric(
        "reward",
        "Reward",
        "",
        "higher",
        "learning",
        "Weighted sum of the rewards, mean over the step's completions that could be graded.",
    ),
    _metric(
        "reward_std",
        "Reward spread",
        "",
        "neither",
        "learning",
        "Standard deviation of the rewards of one prompt's completions, mean over the groups.",
    ),
    *(
        _metric(f"reward_{kind}", title, "", "higher", "learning", f"{meaning}, before its weight.")
        for kind, title, meaning in (
            ("exact", "Equal to the answer", "Share of completions equal to the answer"),
            ("label", "Right label", "Share of completions that name the right label"),
            ("boxed", "Right box", "Share of completions whose last box holds the answer"),
            ("format_think", "Thought, then answer", "Share of completions in that form"),
            ("length", "Length", "What completions lose by being long, at most 1"),
            ("python", "Own reward", "What the user's Python file gives"),
        )
    ),
    _metric(
        "dead_share",
        "Dead groups",
        "share",
        "lower",
        "learning",
        "Groups whose rewards are all equal, so that nothing is learned from them.",
    ),
    _metric(
        "resampled_groups", "Asked anew", "groups", "neither", "rollouts", "Dead ones replaced."
    ),
    _metric(
        "unscorable_share",
        "Not graded",
        "share",
        "lower",
        "rollouts",
        "No reward could grade them.",
    ),
    _metric(
        "reference_kl",
        "KL to the reference",
        "nats/token",
        "neither",
        "learning",
        "Estimated on the step's tokens as exp(d) - d - 1, with d the reference's logprob minus "
        "the student's.",
    ),
    _metric(
        "clipped_low_share",
        "Clipped from below",
        "share",
        "neither",
        "learning",
        "Tokens of worse completions that have become unlikely enough for this step.",
    ),
    _metric(
        "clipped_high_share",
        "Clipped from above",
        "share",
        "neither",
        "learning",
        "Tokens of better completions that have become likely enough for this step.",
    ),
    _metric(
        "logprob_gap",
        "Sampled and re-scored",
        "nats/token",
        "lower",
        "learning",
        "Mean distance of the logprobs noted while sampling from those of the pass that learns.",
    ),
    _metric("grading_seconds", "Grading", "s", "lower", "speed", "Rewards of the completions."),
    _metric(
        "eval_reward",
        "Reward",
        "",
        "higher",
        "evaluation",
        "Weighted sum of the rewards of greedy held-out completions, mean.",
    ),
)

METRICS: dict[str, Metric] = {metric.key: metric for metric in _DECLARED}
