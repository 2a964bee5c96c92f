"""What a step measured: gathered while it runs, then metrics and rollout records."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean

import mlx.core as mx

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.distributed.ranks import Ranks
from OnPolicyDistill.losses.advantages import Advantages
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.token_text import token_text
from OnPolicyDistill.runs.events import RolloutRecord
from OnPolicyDistill.trainers.grpo.groups import Group
from OnPolicyDistill.trainers.grpo.learn import Learned

RECORDED_GROUPS = 2


@dataclass(slots=True)
class StepReport:
    """Numbers of one step as they come in.

    `sums` are over the tokens that were learned from, of all updates; `gaps` is over those of the
    first update, whose policy is the one that sampled.
    """

    step: int
    num_asked: int = 0
    num_sampled_tokens: int = 0
    losses: list[float] = field(default_factory=list)
    num_learned_tokens: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    gaps: list[tuple[float, int]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the block's wall clock to a phase; arrays must be evaluated inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

    def add_sampled(self, groups: Sequence[Group]) -> None:
        """Take in groups as they were sampled, whether they stay in the step or not."""
        self.num_asked += len(groups)
        self.num_sampled_tokens += sum(len(r.completion_ids) for g in groups for r in g.rollouts)

    def add(self, learned: Learned) -> None:
        """Take in a micro-batch's pass."""
        stats = learned.stats
        num_tokens = stats.logprob.shape[0]
        if learned.batch.old_logprobs is None:
            sampled = [value for r in learned.batch.rollouts for value in r.logprobs]
            gap = as_float(mx.abs(mx.array(sampled) - stats.logprob).sum())
            self.gaps.append((gap, num_tokens))
        named = {
            "entropy": stats.entropy,
            "reference_kl": stats.kl,
            "clipped_low_share": stats.clipped_low,
            "clipped_high_share": stats.clipped_high,
        }
        if learned.batch.reference_logprobs is None:
            del named["reference_kl"]
        self.num_learned_tokens += num_tokens
        for key, values in named.items():
            self.sums[key] = self.sums.get(key, 0.0) + as_float(values.sum())

    def of_all(self, ranks: Ranks) -> None:
        """Take in what the other ranks learned from; every rank counted all groups already."""
        if ranks.is_alone:
            return
        num_gap_tokens = sum(tokens for _, tokens in self.gaps)
        told = {"learned": self.num_learned_tokens, "gap": sum(gap for gap, _ in self.gaps)}
        counts = ranks.add_counts({**told, "gap_tokens": num_gap_tokens})
        self.sums = ranks.add_counts(self.sums)
        self.num_learned_tokens = int(counts["learned"])
        num_gap_tokens = int(counts["gap_tokens"])
        self.gaps = [(counts["gap"], num_gap_tokens)] if num_gap_tokens else []

    def metrics(self, groups: Sequence[Group], advantages: Advantages) -> dict[str, float]:
        """Metrics of the step with its groups; keys and units are declared in runs/metrics.py.

        What only a pass can tell is left out where nothing was learned from.
        """
        step_seconds = sum(self.seconds.values())
        num_tokens = sum(len(r.completion_ids) for g in groups for r in g.rollouts)
        metrics = {key: total / self.num_learned_tokens for key, total in self.sums.items()}
        if self.gaps:
            gap, tokens = map(sum, zip(*self.gaps, strict=True))
            metrics["logprob_gap"] = gap / tokens
        return {
            **metrics,
            **_reward_metrics(groups, advantages),
            "resampled_groups": float(self.num_asked - len(groups)),
            **{f"{phase}_seconds": seconds for phase, seconds in self.seconds.items()},
            "loss": fmean(self.losses),
            "num_tokens": float(num_tokens),
            "step_seconds": step_seconds,
            "tokens_per_second": num_tokens / step_seconds,
            "sampling_tokens_per_second": self.num_sampled_tokens / self.seconds["sampling"],
        }


def _reward_metrics(groups: Sequence[Group], advantages: Advantages) -> dict[str, float]:
    """Rewards in all and by name, over what could be graded, and what completions are like."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    totals = [total for group in groups for total in group.grades.totals]
    columns = {"reward": totals}
    for kind in groups[0].grades.by_kind:
        columns[f"reward_{kind}"] = [
            grade for group in groups for grade in group.grades.by_kind[kind]
        ]
    graded = {key: [v for v in values if v is not None] for key, values in columns.items()}
    return {
        **{key: fmean(values) for key, values in graded.items() if values},
        "reward_std": advantages.spread,
        "dead_share": fmean(advantages.is_dead),
        "unscorable_share": fmean(total is None for total in totals),
        "completion_tokens": fmean(len(rollout.completion_ids) for rollout in rollouts),
        "truncated_share": fmean(rollout.finish_reason == "length" for rollout in rollouts),
    }


def rollout_records(
    step: int, groups: Sequence[Group], advantages: Advantages, policy: Policy
) -> list[RolloutRecord]:
    """The best and the worst rollout of two groups, of those that teach something if there are."""
    values = iter(advantages.values)
    rows = [[(next(values), place) for place in range(len(g.rollouts))] for g in groups]
    teaching_first = sorted(range(len(groups)), key=lambda group: groups[group].is_dead)
    shown = [
        (groups[group], place, advantage)
        for group in teaching_first[:RECORDED_GROUPS]
        for advantage, place in (max(rows[group]), min(rows[group]))
    ]
    return [_record(step, index, *one, policy) for index, one in enumerate(shown)]


def _record(
    step: int, index: int, group: Group, place: int, advantage: float, policy: Policy
) -> RolloutRecord:
    rollout = group.rollouts[place]
    return RolloutRecord(
        step=step,
        index=index,
        source="student",
        prompt=group.asked.prompt.text,
        prompt_index=rollout.prompt_index,
        completion=_text(policy, rollout.completion_ids),
        finish_reason=rollout.finish_reason,
        token_ids=rollout.completion_ids,
        token_texts=tuple(token_text(policy, i) for i in rollout.completion_ids),
        student_logprobs=rollout.logprobs,
        reward=group.grades.totals[place],
        rewards={kind: grades[place] for kind, grades in group.grades.by_kind.items()},
        advantage=advantage,
    )


def _text(policy: Policy, ids: Sequence[int]) -> str:
    """Text with special tokens spelled out, for people who look at tokens."""
    text: str = policy.tokenizer.decode(list(ids))
    return text
