"""The plan of a run: does it fit, how long does it take, and what to change if it does not.

Everything is a forecast from files and tables; no model is loaded and nothing is downloaded.
Sizes are in GB of 1e9 bytes, as on the hub. A Mac's memory is named as Apple names it: 128 GB are
128 GiB, of which macOS lets the GPU have 107.5 GiB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.config import EvaluationConfig, RunConfig
from OnPolicyDistill.machine import raised_gpu_limit
from OnPolicyDistill.planning.advice import (
    NOTHING_HELPS,
    Advice,
    Circumstances,
    advise,
    verdict_of,
    warn,
)
from OnPolicyDistill.planning.answering import answering_stages
from OnPolicyDistill.planning.calibration import (
    NOTHING_LEARNED,
    Calibration,
    calibrate,
)
from OnPolicyDistill.planning.chips import OTHER_PROCESSOR, Chip, Source, find_chip, this_chip
from OnPolicyDistill.planning.disk import teacher_disk_bytes
from OnPolicyDistill.planning.lengths import count_held_out, measure_prompts
from OnPolicyDistill.planning.looks import features_fit, with_looks, with_pictures
from OnPolicyDistill.planning.memory import PhaseMemory, answering_memory, forecast_memory, peak
from OnPolicyDistill.planning.models import ModelFacts
from OnPolicyDistill.planning.targets import PlannedAdapter
from OnPolicyDistill.planning.time import RunSeconds, StepSeconds, corrected, forecast_time
from OnPolicyDistill.planning.workload import Workload, make_workload

GIB = 2**30
GB = 1e9
# Share of memory that macOS lets the GPU wire, by size in GiB (107.5 of 128 as reported).
GPU_SHARES = ((64, 0.84), (36, 0.75), (0, 0.67))
OTHER_SHARE = 0.9
RESERVE_SHARE, LARGEST_RESERVE_BYTES = 0.125, 8 * GIB
# Every published speed lies between: a third faster at best, half as slow again at worst.
FASTER, SLOWER = 0.7, 1.5


class PlanModel(BaseModel):
    """A model of the run: what it is and where the numbers come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    parameters: int
    weights_gb: float
    bits: int
    source: Literal["disk", "registry"] = Field(
        description="disk: exact bytes of the files; registry: computed from known dimensions."
    )


class PlanPhase(BaseModel):
    """Memory at the peak of one phase, in GB by part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    total_gb: float
    parts: dict[str, float]


class PlanStep(BaseModel):
    """Seconds of one step by phase; an evaluation's for comparison."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sampling: float
    scoring: float
    learning: float
    total: float
    evaluation: float
    steps_per_minute: float


class PlanStage(BaseModel):
    """A stage of the run in which a model only answers, each input once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    num_answers: int
    seconds: float


class Plan(BaseModel):
    """What a run will need on a machine; `parts` are those of the phase that needs most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Literal["fits", "tight", "does_not_fit"]
    total_gb: float = Field(description="All parts together, in GB of 1e9 bytes.")
    parts: dict[str, float]
    seconds: float = Field(description="The whole run, expected.")
    seconds_low: float
    seconds_high: float
    memory_gb: float = Field(description="The machine's memory as its maker names it.")
    limit_gb: float = Field(description="What the run may use of it, in GB of 1e9 bytes.")
    needed_gb: float = Field(description="total_gb without the reserve for the system.")
    peak_phase: str
    phases: tuple[PlanPhase, ...]
    step: PlanStep
    stages: tuple[PlanStage, ...] = Field((), description="Empty where every stage learns.")
    preparing_seconds: float = Field(description="Loading, and the stages that only answer.")
    num_steps: int
    num_evaluations: int
    prompt_tokens: int = Field(description="Of a typical prompt.")
    completion_tokens: int = Field(description="The limit; 0 where nothing is sampled.")
    calibration: Calibration = Field(
        NOTHING_LEARNED, description="What earlier runs on this machine corrected."
    )
    chip: str
    chip_source: Source = Field(
        description="known: published figures; estimated: of a chip near it; unknown: newer."
    )
    student: PlanModel
    teacher: PlanModel | None
    adapter_parameters: int
    adapter: PlannedAdapter | None = Field(
        None, description="Empty where every weight learns, or nothing does."
    )
    teacher_disk_gb: float | None = Field(
        None, description="What the folder of the teacher's answers will hold; empty without one."
    )
    warnings: tuple[str, ...]
    advice: tuple[Advice, ...]
    assumptions: tuple[str, ...]


def plan_run(
    config: RunConfig,
    memory_gb: float | None = None,
    chip: str | None = None,
    workspace: Path | None = None,
    own_prompts: int | None = None,
) -> Plan:
    """Plan a run on a machine: this one unless memory (as its maker names it) or chip are given.

    On this machine the finished runs of a workspace correct the forecast of time. With
    `own_prompts` it is one of several ranks, and takes that many prompts of every step.

    Raises:
        ModelError: a model is unknown, or its files are damaged.
        DatasetError: a prompt file cannot be read.
        InputError: no such chip.
    """
    machine = this_chip() if chip is None else find_chip(chip)
    memory = round(memory_gb * GIB) if memory_gb is not None else psutil.virtual_memory().total
    is_mac = memory_gb is not None or machine is not OTHER_PROCESSOR
    limit = gpu_limit(memory) if is_mac else round(memory * OTHER_SHARE)
    if memory_gb is None and chip is None:
        limit = raised_gpu_limit() or limit
    whole = make_workload(config, measure_prompts(config), count_held_out(config))
    work = replace(whole, own_prompts=own_prompts)
    stages = answering_stages(config)
    learned = NOTHING_LEARNED
    if memory_gb is None and chip is None and workspace is not None:
        learned = calibrate(workspace)
    phases = with_pictures(work, forecast_memory(work))
    times = with_looks(work, corrected(forecast_time(work, machine), learned), machine)
    answering = sum(stage.seconds(machine) for stage in stages)
    times = replace(times, preparing=times.preparing + answering)
    if isinstance(config, EvaluationConfig):
        phases, times = [], RunSeconds(StepSeconds(0, 0, 0), times.preparing, 0, 0, len(stages))
    phases = [*(answering_memory(stage.work, stage.name) for stage in stages), *phases]
    plan = _assemble(work, phases, times, _Machine(machine, memory, limit))
    planned = tuple(
        PlanStage(
            name=stage.name,
            num_answers=stage.num_answers,
            seconds=round(stage.seconds(machine), 1),
        )
        for stage in stages
    )
    update: dict[str, object] = {"stages": planned, "calibration": learned}
    answering_bytes = max((phase.total for phase in phases[: len(stages)]), default=0)
    here = Circumstances(machine, limit, learned, answering_bytes)
    advice = tuple(advise(work, here, config.method))
    update["advice"] = advice
    if plan.verdict == "does_not_fit" and not advice:
        update["warnings"] = (*plan.warnings, NOTHING_HELPS)
    if learned.learned_from:
        update["assumptions"] = (*plan.assumptions, learned.in_words)
    return plan.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class _Machine:
    """What the run will be on; bytes."""

    chip: Chip
    memory: int
    limit: int

    @property
    def reserve(self) -> int:
        """What macOS and other programs keep, in bytes."""
        return min(round(self.memory * RESERVE_SHARE), LARGEST_RESERVE_BYTES)


def gpu_limit(memory: int) -> int:
    """Bytes that macOS lets the GPU have of a machine's memory, unless it is told otherwise."""
    share = next(share for least, share in GPU_SHARES if memory >= least * GIB)
    return round(memory * share)


def _assemble(
    work: Workload, phases: list[PhaseMemory], times: RunSeconds, machine: _Machine
) -> Plan:
    highest = peak(phases)
    step = times.step
    return Plan(
        verdict=verdict_of(highest.total, machine.limit),
        total_gb=_gb(highest.total + machine.reserve),
        parts={**_parts(highest.parts), "system_reserve": _gb(machine.reserve)},
        seconds=round(times.total, 1),
        seconds_low=round(times.total * FASTER, 1),
        seconds_high=round(times.total * SLOWER, 1),
        memory_gb=round(machine.memory / GIB, 1),
        limit_gb=_gb(machine.limit),
        needed_gb=_gb(highest.total),
        peak_phase=highest.name,
        phases=tuple(
            PlanPhase(name=phase.name, total_gb=_gb(phase.total), parts=_parts(phase.parts))
            for phase in phases
        ),
        step=PlanStep(
            sampling=round(step.sampling, 3),
            scoring=round(step.scoring, 3),
            learning=round(step.learning, 3),
            total=round(step.total, 3),
            evaluation=round(times.evaluation, 3),
            steps_per_minute=round(60 / max(step.total, 1e-9), 2),
        ),
        preparing_seconds=round(times.preparing, 1),
        num_steps=times.num_steps,
        num_evaluations=times.num_evaluations,
        prompt_tokens=work.prompts.typical_tokens,
        completion_tokens=work.completion_tokens,
        chip=machine.chip.name,
        chip_source=machine.chip.source,
        student=_model(work.student),
        teacher=None if work.teacher is None else _model(work.teacher),
        adapter_parameters=work.num_adapter_parameters,
        adapter=work.planned_adapter,
        teacher_disk_gb=_teacher_disk_gb(work),
        warnings=tuple(warn(work, times, highest.total, machine.limit)),
        advice=(),
        assumptions=tuple(_assumptions(work, machine)),
    )


def _teacher_disk_gb(work: Workload) -> float | None:
    d = work.distillation
    has_folder = d is not None and d.teacher_cache_dir is not None
    return round(teacher_disk_bytes(work) / GB, 3) if has_folder else None


def _model(facts: ModelFacts) -> PlanModel:
    return PlanModel(
        name=facts.name,
        parameters=facts.num_parameters,
        weights_gb=_gb(facts.loaded_bytes),
        bits=facts.dimensions.bits,
        source=facts.source,
    )


def _assumptions(work: Workload, machine: _Machine) -> list[str]:
    found = [
        "A forecast, fitted to published speeds, not a measurement: expect 70 % to 150 % of it.",
        f"Prompts: {work.prompts.source}.",
        f"macOS lets the GPU have {_gb(machine.limit):g} GB of this memory.",
    ]
    if work.planned_adapter is not None:
        found.append(work.planned_adapter.in_words())
    if work.distillation is not None and work.distillation.teacher_shards > 1:
        found.append(
            f"The teacher is cut over {work.distillation.teacher_shards} ranks; what that sends "
            "between them is in opd plan --hosts alone."
        )
    if work.completion_tokens:
        found.append(f"Every completion runs to its limit of {work.completion_tokens} tokens.")
    if machine.chip is OTHER_PROCESSOR:
        found[2] = f"{100 * OTHER_SHARE:.0f} % of this memory is free for the run."
        found[0] = (
            "A forecast from arithmetic, not a measurement. This processor is not in the table of "
            "chips: its times were fitted to small models and can be off by several times."
        )
    if work.pictures is not None:
        kept = "once" if features_fit(work) else "anew in every step (picture_cache_mb is small)"
        found.append(f"One picture a prompt, as large as max_pixels allows, looked at {kept}.")
    if machine.chip.note:
        found.append(machine.chip.note)
    return [*found, *_assumed_of_teachers(work)]


def _assumed_of_teachers(work: Workload) -> Iterator[str]:
    if work.is_scored:
        yield "Scored ahead: what the teacher says is on disk, and it is not loaded."
    if work.distillation is not None and len(work.distillation.teacher_models) > 1:
        yield "Teachers take turns in memory: the largest counts, and loading takes no time here."
    if work.teacher is not None and work.num_kept_rows == 0:
        yield "Every rollout is fresh, so the teacher cache stays empty."


def _parts(parts: Mapping[str, int]) -> dict[str, float]:
    return {name: _gb(value) for name, value in parts.items()}


def _gb(number: float) -> float:
    return round(number / GB, 2)
