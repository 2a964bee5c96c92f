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
    _metric(
        "loss",
        "Loss",
        "nats",
        "lower",
        "learning",
        "What is minimized; from a teacher kl_weight * divergence + ce_weight * cross-entropy.",
    ),
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
    _metric(
        "agreement",
        "Agreement",
        "share",
        "higher",
        "learning",
        "Places of the step's rollouts where student and teacher have the same best token.",
    ),
    _metric(
        "reuse_weight",
        "Weight of rollouts",
        "",
        "neither",
        "learning",
        "Mean importance weight of rollouts that are used again; 1 where the student is unchanged.",
    ),
    _metric(
        "entropy",
        "Student entropy",
        "nats/token",
        "neither",
        "learning",
        "How undecided the student is about its next token, mean over the step's tokens.",
    ),
    _metric(
        "grad_norm",
        "Gradient norm",
        "",
        "neither",
        "learning",
        "Length of the gradient before it is clipped to max_grad_norm.",
    ),
    _metric(
        "learning_rate",
        "Learning rate",
        "",
        "neither",
        "learning",
        "What the schedule gave this step.",
    ),
    _metric(
        "num_tokens",
        "Tokens",
        "tokens",
        "neither",
        "rollouts",
        "Completion tokens that the step learned from.",
    ),
    _metric(
        "completion_tokens",
        "Completion length",
        "tokens",
        "neither",
        "rollouts",
        "Mean number of tokens in a completion of the step.",
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
    _metric(
        "sampling_seconds",
        "Sampling",
        "s",
        "lower",
        "speed",
        "Time in which the student wrote the step's completions.",
    ),
    _metric(
        "scoring_seconds",
        "Scoring",
        "s",
        "lower",
        "speed",
        "Time in which the teacher scored them, or the cache was read.",
    ),
    _metric(
        "learning_seconds", "Learning", "s", "lower", "speed", "Time of loss, gradient and update."
    ),
    _metric(
        "tokens_per_second",
        "Speed of a step",
        "tok/s",
        "higher",
        "speed",
        "Tokens learned from over the wall clock of the whole step.",
    ),
    _metric(
        "sampling_tokens_per_second",
        "Speed of sampling",
        "tok/s",
        "higher",
        "speed",
        "Tokens that the student wrote over the time it took.",
    ),
    _metric(
        "active_memory_gb",
        "Active memory",
        "GB",
        "lower",
        "memory",
        "What MLX's arrays hold at the end of the step.",
    ),
    _metric(
        "peak_memory_gb",
        "Peak memory",
        "GB",
        "lower",
        "memory",
        "The most that MLX held at once during the step.",
    ),
    _metric(
        "cache_memory_gb",
        "Buffer cache",
        "GB",
        "lower",
        "memory",
        "Freed buffers that MLX keeps to use again.",
    ),
    _metric(
        "process_memory_gb",
        "Process",
        "GB",
        "lower",
        "memory",
        "Of the training process: physical footprint on macOS, resident set size elsewhere.",
    ),
    _metric(
        "teacher_cache_hit_rate",
        "Cache hits",
        "share",
        "higher",
        "cache",
        "Rows of the step whose scores were in memory, so that the teacher was not asked.",
    ),
    _metric(
        "picture_cache_hit_rate",
        "Pictures known",
        "share",
        "higher",
        "cache",
        "Of this step: places of pictures whose features were kept.",
    ),
    _metric(
        "picture_cache_mb",
        "Kept pictures",
        "MB",
        "neither",
        "cache",
        "What the kept features of pictures hold in memory.",
    ),
    _metric(
        "teacher_cache_mb",
        "Teacher cache",
        "MB",
        "neither",
        "cache",
        "What the teacher's kept scores hold in memory.",
    ),
    _metric(
        "teacher_cache_evictions",
        "Evictions",
        "entries",
        "lower",
        "cache",
        "Rows that the teacher cache dropped for others since the start.",
    ),
    _metric(
        "teacher_disk_hit_rate",
        "Disk hits",
        "share",
        "higher",
        "cache",
        "Of this step: rows that the teacher cache on disk had, among those asked of it.",
    ),
    _metric(
        "teacher_disk_mb",
        "Teacher cache on disk",
        "MB",
        "neither",
        "cache",
        "What the teacher's scores take on disk.",
    ),
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
        "eval_agreement",
        "Agreement",
        "share",
        "higher",
        "evaluation",
        "Places of held-out completions where student and teacher have the same best token.",
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
        "eval_student_entropy",
        "Student entropy",
        "nats/token",
        "neither",
        "evaluation",
        "How undecided the student is about its next token, mean over held-out completions.",
    ),
    _metric(
        "eval_teacher_entropy",
        "Teacher entropy",
        "nats/token",
        "neither",
        "evaluation",
        "How undecided the teacher is about the next token, mean over the same places.",
    ),
    _metric(
        "eval_truncated_share",
        "Truncated",
        "share",
        "lower",
        "evaluation",
        "Held-out completions that were cut at their longest length.",
    ),
    _metric(
        "eval_completion_tokens",
        "Completion length",
        "tokens",
        "neither",
        "evaluation",
        "Mean number of tokens in a held-out completion.",
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
        "eval_loss",
        "Held-out loss",
        "nats/token",
        "lower",
        "evaluation",
        "-log of the student's probability for the assistant's tokens, mean over held-out ones.",
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
        "eval_tokens_per_answer",
        "Answer length",
        "tokens",
        "lower",
        "speed",
        "Mean number of tokens in a reply, its thinking included.",
    ),
    _metric("eval_seconds", "Evaluation", "s", "lower", "speed", "Wall clock of one evaluation."),
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
        "resampled_groups",
        "Groups asked anew",
        "groups",
        "neither",
        "rollouts",
        "Groups of equal rewards whose place others took.",
    ),
    _metric(
        "unscorable_share",
        "Not graded",
        "share",
        "lower",
        "rollouts",
        "Completions that no reward could grade.",
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
    _metric(
        "grading_seconds",
        "Grading",
        "s",
        "lower",
        "speed",
        "Time in which code gave completions their rewards.",
    ),
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
