"""What a step of distillation measured: gathered while it runs, then metrics and rollout records.

Letters: N positions of a micro-batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial

import mlx.core as mx
from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.arrays import float_list
from OnPolicyDistill.distributed.ranks import Ranks
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.distillation import TokenStats
from OnPolicyDistill.losses.targets import HiddenTargets, Targets, top_k_targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.token_text import token_text
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.runs.events import RolloutRecord, Token
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.prefix import AUTO
from OnPolicyDistill.training.shown_pictures import shown_pictures

RECORDED_ROLLOUTS = 2
NUM_TOP_TOKENS = 5


@dataclass(frozen=True, slots=True)
class Scored:
    """A micro-batch after its pass: loss share, statistics (N,), student hidden states (N, D).

    Rollouts that an earlier step learned from have weights (N,), others none.
    """

    rollouts: tuple[Rollout, ...]
    num_fresh: int
    loss: float
    stats: TokenStats
    hidden: mx.array
    targets: Targets
    weights: mx.array | None = None


class RankCounts(BaseModel):
    """What one rank counted in a step; sums that are not finite stay so."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    lengths: list[int]
    num_truncated: int
    num_sampled_tokens: int
    sums: dict[str, float]


@dataclass(slots=True)
class StepReport:
    """Numbers of one step as they come in; only the first micro-batch keeps its arrays.

    A completion of `longest` tokens without an end is truncated; one that was stopped before,
    because no more of it is learned, is not.
    """

    step: int
    longest: int
    loss: float = 0.0
    first: Scored | None = None
    lengths: list[int] = field(default_factory=list)
    num_truncated: int = 0
    num_sampled_tokens: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the block's wall clock to a phase; arrays must be evaluated inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

    def add(self, scored: Scored) -> None:
        """Take in a micro-batch."""
        if self.first is None:
            self.first = scored
        self.loss += scored.loss
        self.lengths += [len(rollout.completion_ids) for rollout in scored.rollouts]
        self.num_truncated += sum(
            r.finish_reason == "length" and len(r.completion_ids) >= self.longest
            for r in scored.rollouts
        )
        if scored.weights is None:
            fresh = scored.rollouts[: scored.num_fresh]
            self.num_sampled_tokens += sum(len(rollout.completion_ids) for rollout in fresh)
        stats = scored.stats
        named = {
            "divergence": stats.divergence,
            "cross_entropy": stats.cross_entropy,
            "sampled_reverse_kl": stats.sampled_reverse_kl,
            "agreement": stats.agreement,
            "entropy": stats.student_entropy,
        }
        if scored.weights is not None:
            named["reuse_weight"] = scored.weights
        # Asked for together: every question on its own would wait for the device.
        sums = float_list(mx.stack([values.sum() for values in named.values()]))
        for key, total in zip(named, sums, strict=True):
            self.sums[key] = self.sums.get(key, 0.0) + total

    def of_all(self, ranks: Ranks) -> None:
        """Take in what the other ranks counted; times and recorded rollouts stay this one's own."""
        if ranks.is_alone:
            return
        every = [RankCounts.model_validate_json(said) for said in ranks.gather(self._counts())]
        self.lengths = [length for counts in every for length in counts.lengths]
        self.num_truncated = sum(counts.num_truncated for counts in every)
        self.num_sampled_tokens = sum(counts.num_sampled_tokens for counts in every)
        names = dict.fromkeys(name for counts in every for name in counts.sums)
        self.sums = {name: sum(counts.sums.get(name, 0.0) for counts in every) for name in names}

    def _counts(self) -> str:
        return RankCounts(
            lengths=self.lengths,
            num_truncated=self.num_truncated,
            num_sampled_tokens=self.num_sampled_tokens,
            sums=self.sums,
        ).model_dump_json()

    def metrics(self) -> dict[str, float]:
        """Metrics of the step; keys and units are declared in runs/metrics.py."""
        num_tokens = sum(self.lengths)
        num_rows = len(self.lengths)
        step_seconds = sum(self.seconds.values())
        metrics = {key: total / num_tokens for key, total in self.sums.items()}
        metrics |= {f"{phase}_seconds": value for phase, value in self.seconds.items()}
        metrics |= {
            "loss": self.loss,
            "num_tokens": float(num_tokens),
            "completion_tokens": num_tokens / num_rows,
            "truncated_share": self.num_truncated / num_rows,
            "step_seconds": step_seconds,
            "tokens_per_second": num_tokens / step_seconds,
        }
        if self.num_sampled_tokens:
            rate = self.num_sampled_tokens / self.seconds["sampling"]
            metrics["sampling_tokens_per_second"] = rate
        return metrics


def watched(metrics: dict[str, float], settings: DistillationSettings) -> dict[str, float]:
    """The metrics of a step that alarms may judge: not a length that auto chose."""
    if settings.loss_tokens != AUTO:
        return metrics
    return {key: value for key, value in metrics.items() if key != "completion_tokens"}


def rollout_records(
    report: StepReport, student: Policy, head: VocabularyHead, prompts: Mapping[int, str]
) -> list[RolloutRecord]:
    """Describe a few rollouts of the step token by token, with both models' best candidates."""
    scored = report.first
    if scored is None:
        return []
    records = []
    end = 0
    text_of = cache(partial(token_text, student))
    for index, rollout in enumerate(scored.rollouts[:RECORDED_ROLLOUTS]):
        start, end = end, end + len(rollout.completion_ids)
        rows = slice(start, end)
        labels = mx.array(rollout.completion_ids)
        teacher_top: tuple[tuple[Token, ...], ...] = ()
        if isinstance(scored.targets, HiddenTargets):
            theirs = HiddenTargets(scored.targets.hidden[rows], scored.targets.head)
            teacher_top = _top_tokens(theirs, labels, text_of)
        own = HiddenTargets(scored.hidden[rows], head)
        student_logprobs = scored.stats.student_logprob[rows]
        records.append(
            RolloutRecord(
                step=report.step,
                index=index,
                source="student" if index < scored.num_fresh else "teacher",
                prompt=prompts[rollout.prompt_index],
                prompt_index=rollout.prompt_index,
                completion=_text(student, rollout.completion_ids),
                finish_reason=rollout.finish_reason,
                token_ids=rollout.completion_ids,
                token_texts=tuple(map(text_of, rollout.completion_ids)),
                student_logprobs=tuple(float_list(student_logprobs)),
                teacher_logprobs=tuple(
                    float_list(student_logprobs - scored.stats.sampled_reverse_kl[rows])
                ),
                divergence=tuple(float_list(scored.stats.divergence[rows])),
                student_top=_top_tokens(own, labels, text_of),
                teacher_top=teacher_top,
                pictures=tuple(
                    picture.digest for picture in shown_pictures(student, rollout.prompt_ids)
                ),
            )
        )
    return records


def _top_tokens(
    targets: HiddenTargets, labels: mx.array, text_of: Callable[[int], str]
) -> tuple[tuple[Token, ...], ...]:
    k = min(NUM_TOP_TOKENS, targets.head.vocab_size)
    best = top_k_targets(targets, labels, k, 1.0)
    ids: list[list[int]] = best.ids.tolist()  # type: ignore[assignment]  # tolist() is untyped
    probabilities: list[list[float]] = mx.exp(best.logprobs).tolist()  # type: ignore[assignment]
    return tuple(
        tuple(
            Token(text=text_of(i), probability=p)
            for p, i in sorted(zip(row_p, row_ids, strict=True), reverse=True)
        )
        for row_ids, row_p in zip(ids, probabilities, strict=True)
    )


def _text(policy: Policy, ids: Sequence[int]) -> str:
    """Text with special tokens spelled out, for people who look at tokens."""
    text: str = policy.tokenizer.decode(list(ids))
    return text
