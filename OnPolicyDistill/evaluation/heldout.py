"""Held-out measurements: how near the student is to its teacher on prompts it never trains on.

Distances are taken on completions the student samples now, at temperature 1 and with the same
seeds every time; accuracy on its greedy completions. When the teacher is no longer loaded, the
distances are taken on its own completions instead, which the cache still knows. That is another
quantity (2.80 and 0.344 nats for one untrained student), so it has another name. So have distances
to a scorer that is not exact: they are lower bounds.

Letters: N completion positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import mlx.core as mx
import numpy as np

from OnPolicyDistill.arrays import float_list
from OnPolicyDistill.datasets.labelled import THINKING_CLOSES, THINKING_OPENS
from OnPolicyDistill.evaluation.controls import Controls
from OnPolicyDistill.evaluation.intervals import Measured, mean_interval, measure, sums_by_row
from OnPolicyDistill.evaluation.positions import sums_by_position
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.grading import graders
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import Policy, decode
from OnPolicyDistill.rollout import EncodedPrompt, Rollout, pack
from OnPolicyDistill.runs.held_out_answers import NUM_KEPT, HeldOutAnswers, first_of
from OnPolicyDistill.runs.prompt_values import PromptValues
from OnPolicyDistill.runs.wording import describe_drawn
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.teacher.scorer import Scorer, finest_form

# What keys of distances begin with, by whose completions they are measured on.
ON_POLICY, OFF_POLICY = "eval_", "eval_off_policy_"
# What keys of lower bounds end with.
BOUND = "_bound"
# Answers of published sets are rounded; strict and tolerant accuracy are both reported.
ROUNDING = 0.05

Marks = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The prompts of an evaluation and how to complete them.

    `fixed` are the teacher's own completions, for a teacher that will be unloaded. They were drawn
    from `num_available` prompts, where that is said.
    """

    prompts: tuple[EncodedPrompt, ...]
    max_tokens: int
    max_rows: int
    seed: int
    fixed: tuple[Rollout, ...] = ()
    num_available: int | None = None
    controls: Controls | None = None

    @property
    def in_words(self) -> str:
        """How many prompts there are, and how they were chosen."""
        return describe_drawn(len(self.prompts), self.num_available, "held-out prompts") + "."

    def aligned(self, marks: Mapping[int, float]) -> Marks:
        """Marks by a prompt's place in its file, in the order of the prompts."""
        return tuple(marks.get(prompt.index) for prompt in self.prompts)


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion of a prompt with a right answer; `opened` says that a thought was, in it."""

    prompt: EncodedPrompt
    rollout: Rollout
    text: str
    opened: bool

    @property
    def thinks(self) -> bool:
        """Whether the completion is, or begins with, a thought."""
        return self.opened or self.text.lstrip().startswith(THINKING_OPENS)

    @property
    def closes(self) -> float:
        """1.0 where the thought ends."""
        return float(THINKING_CLOSES in self.text)

    def mark(self, tolerance: float = 0.0) -> float:
        """1.0 where it is right; a completion that was cut equals no answer word for word."""
        prompt, is_whole = self.prompt, self.rollout.finish_reason == "stop"
        if prompt.grader == "exact_match" and not is_whole:
            return 0.0
        wanted = prompt.answer or ""
        return graders.grade(
            prompt.grader, self.text, wanted, tolerance, thought_opened=self.opened
        )


def complete(
    policy: Policy, held_out: HeldOut, sampling: SamplingSettings, hooks: GenerationHooks
) -> list[Rollout]:
    """Complete every held-out prompt with a policy, seeded by the prompt's place in its file."""
    request = GenerationRequest(
        prompts=[prompt.ids for prompt in held_out.prompts],
        seeds=[derive_seed(held_out.seed, "held_out", p.index) for p in held_out.prompts],
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=held_out.max_tokens,
        sampling=sampling,
        max_rows=held_out.max_rows,
    )
    rollouts = generate(policy.model, request, hooks)
    pairs = zip(held_out.prompts, rollouts, strict=True)
    return [replace(rollout, teacher=prompt.teacher) for prompt, rollout in pairs]


def grade(policy: Policy, held_out: HeldOut, hooks: GenerationHooks) -> Marks:
    """Mark every prompt: 1.0 where the greedy completion is right, None without an answer."""
    return grade_and_keep(policy, held_out, hooks)[0]


def grade_and_keep(
    policy: Policy, held_out: HeldOut, hooks: GenerationHooks
) -> tuple[Marks, HeldOutAnswers]:
    """Mark every prompt, and keep the first of the greedy completions."""
    given = answer(policy, held_out.prompts, held_out, hooks)
    return held_out.aligned(mark_all(given)), _kept(given)


def _kept(given: Sequence[Answer], is_greedy: bool = True) -> HeldOutAnswers:
    """The first answers for people; those that are not greedy have no mark."""
    rows = (
        (one.prompt.index, one.prompt.text, one.prompt.answer, one.text, one.mark())
        if is_greedy
        else (one.prompt.index, one.prompt.text, None, one.text, None)
        for one in given
    )
    return first_of(rows, is_greedy)


def answer(
    policy: Policy, prompts: Sequence[EncodedPrompt], held_out: HeldOut, hooks: GenerationHooks
) -> list[Answer]:
    """Greedy completions of those prompts that have a right answer."""
    asked = tuple(prompt for prompt in prompts if prompt.answer is not None)
    if not asked:
        return []
    greedy = SamplingSettings(temperature=0.0)
    return _read(policy, asked, complete(policy, replace(held_out, prompts=asked), greedy, hooks))


def _read(
    policy: Policy, prompts: Sequence[EncodedPrompt], rollouts: Sequence[Rollout]
) -> list[Answer]:
    opened = policy.chat_template.opening().rstrip().endswith(THINKING_OPENS)
    return [
        Answer(prompt, rollout, decode(policy, rollout.completion_ids), opened)
        for prompt, rollout in zip(prompts, rollouts, strict=True)
    ]


def answer_shares(
    policy: Policy, held_out: HeldOut, given: Sequence[Answer], hooks: GenerationHooks
) -> dict[str, Marks]:
    """What is right of the greedy completions, by metric key; nothing where there are none.

    Boxed answers are also graded with room for rounding, and thoughts counted that close. With
    controls the same prompts are answered behind a blank and behind another prompt's picture.
    """
    if not given:
        return {}
    found = {"eval_accuracy": mark_all(given)}
    if any(one.prompt.grader == "boxed" for one in given):
        found["eval_accuracy_tolerant"] = mark_all(given, ROUNDING)
    thoughts = {one.prompt.index: one.closes for one in given if one.thinks}
    if thoughts:
        found["eval_closed_thoughts"] = thoughts
    if held_out.controls is not None:
        controls, asked = held_out.controls, [one.prompt for one in given]
        blank, shuffled = controls.blank(asked), controls.shuffled(asked)
        found["eval_accuracy_blank"] = mark_all(answer(policy, blank, held_out, hooks))
        found["eval_accuracy_shuffled"] = mark_all(answer(policy, shuffled, held_out, hooks))
    return {key: held_out.aligned(marks) for key, marks in found.items() if marks}


def mark_all(answers: Sequence[Answer], tolerance: float = 0.0) -> dict[int, float]:
    """Marks of answers, by the prompt's place in its file."""
    return {one.prompt.index: one.mark(tolerance) for one in answers}


def evaluate_student(
    student: Policy,
    head: VocabularyHead,
    scorer: Scorer,
    held_out: HeldOut,
    hooks: GenerationHooks,
) -> Measured:
    """Measure the student against who scores it; keys and units are declared in runs/metrics.py.

    Distances on the teacher's own completions have names of their own, and completion lengths are
    the student's or not reported.
    """
    rollouts: Sequence[Rollout] = held_out.fixed
    if not held_out.fixed:
        rollouts = complete(student, held_out, SamplingSettings(), hooks)
    lengths = tuple(len(rollout.completion_ids) for rollout in rollouts)
    shares: dict[str, tuple[float | None, ...]] = {}
    if not held_out.fixed:
        cut = tuple(float(rollout.finish_reason == "length") for rollout in rollouts)
        shares["eval_truncated_share"] = cut
    given = answer(student, held_out.prompts, held_out, hooks)
    shares |= answer_shares(student, held_out, given, hooks)
    distances, by_position = _distances(student, head, scorer, rollouts, held_out)
    values = PromptValues(
        prompts=tuple(prompt.index for prompt in held_out.prompts),
        tokens=lengths,
        token_sums=distances,
        shares=shares,
        num_available=held_out.num_available,
    )
    measured = _with_counts(measure(values, held_out.seed), held_out)
    shown = _kept(given)
    if not given and not held_out.fixed:
        some = _read(student, held_out.prompts[:NUM_KEPT], rollouts[:NUM_KEPT])
        shown = _kept(some, is_greedy=False)
    return replace(measured, by_position=by_position, answers=shown)


def _with_counts(measured: Measured, held_out: HeldOut) -> Measured:
    """Add the mean length of the student's completions, and how many prompts were graded."""
    values, metrics, intervals = measured.values, {**measured.metrics}, {**measured.intervals}
    if not held_out.fixed:
        lengths = np.array(values.tokens, float)
        metrics["eval_completion_tokens"] = float(lengths.mean())
        interval = mean_interval(lengths, held_out.seed)
        if interval is not None:
            intervals["eval_completion_tokens"] = interval
    graded = [mark for mark in values.shares.get("eval_accuracy", ()) if mark is not None]
    if graded:
        metrics["eval_num_graded"] = float(len(graded))
    return Measured(metrics, intervals, values)


def _key_ends(held_out: HeldOut, scorer: Scorer) -> tuple[str, str]:
    """What keys of distances begin and end with."""
    is_exact = scorer.offer.is_exact
    assert is_exact or not held_out.fixed, "only a local teacher leaves completions behind"
    return OFF_POLICY if held_out.fixed else ON_POLICY, "" if is_exact else BOUND


def _distances(
    student: Policy,
    head: VocabularyHead,
    scorer: Scorer,
    rollouts: Sequence[Rollout],
    held_out: HeldOut,
) -> tuple[dict[str, tuple[float, ...]], tuple[float, ...]]:
    """Sums over each completion's tokens, by metric key, and the reverse KL by position."""
    sums: dict[str, list[float]] = {}
    along: list[float] = []
    along_lengths: list[int] = []
    prefix, suffix = _key_ends(held_out, scorer)
    for places in _batches(rollouts, held_out.max_rows):
        check_stop()
        rows = [rollouts[place] for place in places]
        batch = pack(rows)
        fresh, kept = ([], rows) if held_out.fixed else (rows, [])
        targets = scorer.score(fresh, kept, finest_form(scorer))
        hidden = read_hidden_states(student.model, batch.tokens)
        hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
        compared = compare_distributions(hidden, head, targets, batch.labels)
        lengths = [len(row.completion_ids) for row in rows]
        named = {
            f"reverse_kl{suffix}": compared.reverse_kl,
            f"forward_kl{suffix}": compared.forward_kl,
            "agreement": compared.agreement,
            "top5_agreement": compared.top5_agreement,
            "student_entropy": compared.student_entropy,
            f"teacher_entropy{suffix}": compared.teacher_entropy,
        }
        for name, values in named.items():
            key = prefix + name
            column = sums.setdefault(key, [0.0] * len(rollouts))
            for place, total in zip(places, sums_by_row(float_list(values), lengths), strict=True):
                column[place] = total
        along += float_list(compared.reverse_kl)
        along_lengths += lengths
    named_sums = {key: tuple(column) for key, column in sums.items()}
    return named_sums, sums_by_position(along, along_lengths)


def _batches(rollouts: Sequence[Rollout], size: int) -> Iterator[list[int]]:
    """Places of rows that are measured together: of one teacher, each teacher once."""
    for name in dict.fromkeys(rollout.teacher for rollout in rollouts):
        own = [place for place, rollout in enumerate(rollouts) if rollout.teacher == name]
        yield from (own[start : start + size] for start in range(0, len(own), size))
