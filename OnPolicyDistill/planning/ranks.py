"""The plan of a run that several machines train together: what one, two and four of them gain.

Ranks deal out the prompts of a step and add up their gradients once an update. So a step takes as
long as the rank that takes longest, and that sum over the link; evaluations are the first rank's
alone. Each rank holds every model, and its memory is planned as that of a process alone.

A sum round a ring of n sends 2 (n - 1) / n of it from each rank, in 2 (n - 1) messages one after
the other (Patarasuk and Yuan, 2009). How fast a link is was measured by `opd hosts check --write`,
or is what the file of hosts says; where it says nothing, a gigabit of Ethernet is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.config import BLOCK_OF_METHOD, RunConfig, settings_of
from OnPolicyDistill.planning.advice import Verdict
from OnPolicyDistill.planning.lengths import count_held_out, measure_prompts
from OnPolicyDistill.planning.plan import FASTER, SLOWER, Plan, plan_run
from OnPolicyDistill.planning.sharding import sent_bytes
from OnPolicyDistill.planning.workload import Workload, make_workload
from OnPolicyDistill.settings.sharded import in_shards, shards_of
from OnPolicyDistill.settings.training import OptimizerSettings

FLOAT32_BYTES = 4
# What a gigabit carries at most, and the slowest round trip measured over a Thunderbolt bridge.
ASSUMED_MB_PER_SECOND, ASSUMED_ROUND_TRIP_MS = 125.0, 1.0
SHOWN_NUMBERS = (1, 2, 4)
WORST_FIRST: tuple[Verdict, ...] = ("does_not_fit", "tight", "fits")


@dataclass(frozen=True, slots=True)
class RankMachine:
    """A machine that trains as one rank; what is None is as on the machine that plans.

    `mb_per_second` (1e6 bytes) and `round_trip_ms` are of the link that reaches it.
    """

    name: str
    chip: str | None = None
    memory_gb: float | None = None
    mb_per_second: float | None = None
    round_trip_ms: float | None = None


class RankPlan(BaseModel):
    """One rank's share of a step, and its memory; seconds are without the sum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    chip: str
    num_prompts: int = Field(description="Of a step.")
    seconds: float
    needed_gb: float
    limit_gb: float
    verdict: Verdict


class RanksPlan(BaseModel):
    """A run on a number of ranks; `gain` is how many times as fast it is as on the first alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_ranks: int
    ranks: tuple[RankPlan, ...]
    waiting_seconds: float = Field(
        description="Of a step, for the link: adding up gradients, and what a teacher in shards "
        "sends."
    )
    step_seconds: float
    seconds: float = Field(description="The whole run, expected.")
    seconds_low: float
    seconds_high: float
    gain: float
    verdict: Verdict


class SeveralPlan(BaseModel):
    """What a run is on one, two, four and all of the machines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    summed_mb: float = Field(description="What is added up in a step, in MB of 1e6 bytes.")
    mb_per_second: float = Field(description="Of the slowest link.")
    round_trip_ms: float
    num_hosts: int
    counts: tuple[RanksPlan, ...]
    notes: tuple[str, ...]

    @property
    def of_all_hosts(self) -> RanksPlan:
        """The run on every machine that was named."""
        return next(one for one in self.counts if one.num_ranks == self.num_hosts)


def plan_several(
    config: RunConfig, machines: Sequence[RankMachine], workspace: Path | None = None
) -> SeveralPlan:
    """Plan a run on several machines, of which the first is this one or stands for it.

    Numbers of ranks beyond the machines are planned as if more came that are like the last.

    Raises:
        ModelError: a model is unknown, or its files are damaged.
        DatasetError: a prompt file cannot be read.
        InputError: no such chip.
    """
    settings = settings_of(config)
    assert isinstance(settings, OptimizerSettings), "an evaluation is one process's work"
    planned = cache(lambda *wanted: _plan_rank(config, workspace, *wanted))
    link = _slowest_link(machines)
    work = make_workload(config, measure_prompts(config), count_held_out(config))
    updates = 1 if work.groups is None else work.groups.num_updates

    def on(number: int) -> _Ranks:
        owns = [len(range(rank, settings.rows_per_step, number)) for rank in range(number)]
        several = [machines[min(rank, len(machines) - 1)] for rank in range(number)]
        plans = [planned(one, own, number) for one, own in zip(several, owns, strict=True)]
        summing = link.sum_seconds(updates * _summed_bytes(plans[0]), number, updates)
        passes = sum(-(-own // settings.batch_size) for own in owns)
        sharing = _sharing_seconds(work, link, number, settings.rows_per_step, passes)
        held = -(-work.num_held_out // settings.rows_per_step)
        evaluating = _sharing_seconds(work, link, number, work.num_held_out, held)
        return _Ranks(several, plans, owns, summing + sharing, evaluating)

    alone = on(1).run_seconds
    numbers = sorted({*SHOWN_NUMBERS, len(machines)})
    return SeveralPlan(
        summed_mb=round(updates * _summed_bytes(on(1).plans[0]) / 1e6, 3),
        mb_per_second=link.mb_per_second,
        round_trip_ms=link.round_trip_ms,
        num_hosts=len(machines),
        counts=tuple(_plan_of(on(number), alone) for number in numbers),
        notes=tuple(_notes(machines, settings.rows_per_step)),
    )


@dataclass(frozen=True, slots=True)
class Link:
    """The slowest link between two machines: MB of 1e6 bytes, and there and back for one byte."""

    mb_per_second: float
    round_trip_ms: float

    def sum_seconds(self, num_bytes: float, num_ranks: int, num_sums: int = 1) -> float:
        """Time to add up bytes over ranks in a ring, in so many sums one after the other."""
        if num_ranks == 1:
            return 0.0
        hops = 2 * (num_ranks - 1)
        sending = hops / num_ranks * num_bytes / (self.mb_per_second * 1e6)
        return sending + num_sums * hops * self.round_trip_ms / 2e3


@dataclass(frozen=True, slots=True)
class _Ranks:
    """A number of ranks with their plans; seconds that each step and evaluation waits for links."""

    machines: list[RankMachine]
    plans: list[Plan]
    owns: list[int]
    step_waiting: float
    evaluation_waiting: float

    @property
    def step_seconds(self) -> float:
        return max(plan.step.total for plan in self.plans) + self.step_waiting

    @property
    def run_seconds(self) -> float:
        first = self.plans[0]
        preparing = max(plan.preparing_seconds for plan in self.plans)
        evaluation = first.step.evaluation + self.evaluation_waiting
        steps = first.num_steps * self.step_seconds
        return preparing + steps + first.num_evaluations * evaluation


def _plan_rank(
    config: RunConfig, workspace: Path | None, machine: RankMachine, own: int, number: int
) -> Plan:
    """One rank's plan; a teacher in shards has one for each rank."""
    settings = settings_of(config)
    if shards_of(settings) > 1:
        cut = {BLOCK_OF_METHOD[config.method]: in_shards(settings, number)}
        config = config.model_copy(update=cut)
    return plan_run(config, machine.memory_gb, machine.chip, workspace, own)


def _sharing_seconds(
    work: Workload, link: Link, num_ranks: int, num_rows: int, num_passes: int
) -> float:
    """What links add where the teacher is in shards and reads so many rows, in so many passes."""
    if work.teacher is None or work.distillation is None or work.distillation.teacher_shards == 1:
        return 0.0
    num_bytes, sums = sent_bytes(work.teacher, num_rows * work.typical_row_tokens)
    return link.sum_seconds(num_bytes, num_ranks, num_passes * sums)


def _summed_bytes(plan: Plan) -> int:
    """The gradient of what learns, and the loss beside it."""
    return FLOAT32_BYTES * (plan.adapter_parameters + 1)


def _slowest_link(machines: Sequence[RankMachine]) -> Link:
    others = machines[1:] or machines
    return Link(
        min(one.mb_per_second or ASSUMED_MB_PER_SECOND for one in others),
        max(one.round_trip_ms or ASSUMED_ROUND_TRIP_MS for one in others),
    )


def _plan_of(on: _Ranks, alone: float) -> RanksPlan:
    seconds = on.run_seconds
    ranks = tuple(
        RankPlan(
            host=machine.name,
            chip=plan.chip,
            num_prompts=own,
            seconds=plan.step.total,
            needed_gb=plan.needed_gb,
            limit_gb=plan.limit_gb,
            verdict=plan.verdict,
        )
        for machine, plan, own in zip(on.machines, on.plans, on.owns, strict=True)
    )
    return RanksPlan(
        num_ranks=len(ranks),
        ranks=ranks,
        waiting_seconds=round(on.step_waiting, 4),
        step_seconds=round(on.step_seconds, 3),
        seconds=round(seconds, 1),
        seconds_low=round(seconds * FASTER, 1),
        seconds_high=round(seconds * SLOWER, 1),
        gain=round(alone / seconds, 2),
        verdict=min((rank.verdict for rank in ranks), key=WORST_FIRST.index),
    )


def _notes(machines: Sequence[RankMachine], num_prompts: int) -> Iterator[str]:
    yield "A forecast, not a measurement: no run on more than one machine was timed."
    if any(one.mb_per_second is None for one in machines[1:]):
        yield (
            f"A link without a speed is taken for a gigabit ({ASSUMED_MB_PER_SECOND:g} MB/s, "
            f"{ASSUMED_ROUND_TRIP_MS:g} ms): measure it with opd hosts check --write."
        )
    if any(one.chip is None for one in machines[1:]):
        yield "A host without a chip is taken for one like this machine."
    most = max(*SHOWN_NUMBERS, len(machines))
    if most > len(machines):
        yield f"Ranks beyond the {len(machines)} hosts are taken for more like the last."
    if num_prompts < most:
        yield (
            f"A step has {num_prompts} prompts: ranks beyond that have nothing to do. A larger "
            "batch_size or gradient_accumulation_steps gives them rows."
        )
    yield "Evaluations, and what is answered before or after training, are the first host's alone."
