"""Whether many runs would fit and how long they would take, looked at together.

A plan reads a run's files and says everything; an outlook says verdict, memory and time alone, of
runs that differ in their models or their length, for which the files are read once. Figures are the
plan's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from OnPolicyDistill.config import BLOCK_OF_METHOD, EvaluationConfig, RunConfig, settings_of
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.planning.advice import Circumstances, Verdict, verdict_of
from OnPolicyDistill.planning.answering import answering_stages
from OnPolicyDistill.planning.calibration import NOTHING_LEARNED, calibrate
from OnPolicyDistill.planning.chips import find_chip, this_chip
from OnPolicyDistill.planning.lengths import count_held_out, measure_prompts
from OnPolicyDistill.planning.memory import answering_memory
from OnPolicyDistill.planning.sizes import memory_limit
from OnPolicyDistill.planning.workload import PromptFacts, make_workload


class Outlook(BaseModel):
    """What a run would need; `changes` are settings of its block without which it does not fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict
    needed_gb: float = Field(description="At the peak, in GB of 1e9 bytes.")
    step_seconds: float | None = Field(description="None where it does not fit.")
    seconds: float | None = Field(description="The whole run, expected; None where it cannot run.")
    changes: dict[str, JsonValue] = Field(
        default_factory=dict, description="What else is set so that it fits; empty as it is."
    )


@dataclass(frozen=True, slots=True)
class Ground:
    """What all the runs that are looked at share: their data and the machine."""

    prompts: PromptFacts
    num_held_out: int
    here: Circumstances


def survey(
    config: RunConfig,
    memory_gb: float | None = None,
    chip: str | None = None,
    workspace: Path | None = None,
) -> Ground:
    """Read a run's files and look at a machine, as `plan_run` does.

    Raises:
        DatasetError: a prompt file cannot be read.
        ModelError: the student's tokenizer or template is damaged.
        InputError: no such chip, or nothing learns.
    """
    if isinstance(config, EvaluationConfig):
        raise InputError("An evaluation trains nothing.", "Look at a run that trains.")
    learned = NOTHING_LEARNED
    if memory_gb is None and chip is None and workspace is not None:
        learned = calibrate(workspace)
    here = Circumstances(
        chip=this_chip() if chip is None else find_chip(chip),
        limit=memory_limit(memory_gb, chip),
        learned=learned,
    )
    return Ground(measure_prompts(config), count_held_out(config), here)


def look(config: RunConfig, ground: Ground) -> Outlook:
    """Forecast one run.

    Raises:
        ModelError: a model is unknown or damaged.
    """
    work = make_workload(config, ground.prompts, ground.num_held_out)
    stages = answering_stages(config)
    answering = [answering_memory(stage.work, stage.name).total for stage in stages]
    needed = max(ground.here.needed(work), *answering, 0)
    found = Outlook(
        verdict=verdict_of(needed, ground.here.limit),
        needed_gb=round(needed / 1e9, 2),
        step_seconds=None,
        seconds=None,
    )
    if found.verdict == "does_not_fit":
        return found
    times = ground.here.times(work)
    seconds = times.total + sum(stage.seconds(ground.here.chip) for stage in stages)
    known = {"step_seconds": round(times.step.total, 3), "seconds": round(seconds, 1)}
    return found.model_copy(update=known)


def best_look(config: RunConfig, ground: Ground) -> Outlook:
    """Forecast a run as it is, or with what lets it fit without changing what is learned.

    Activations are recomputed, then rows learned from one at a time; a step stays as large.

    Raises:
        ModelError: a model is unknown or damaged.
    """
    found = look(config, ground)
    for changes in _savings(config):
        if found.verdict != "does_not_fit":
            break
        found = look(with_settings(config, changes), ground).model_copy(update={"changes": changes})
    return found


def with_settings(config: RunConfig, changes: Mapping[str, JsonValue]) -> RunConfig:
    """A copy of a config with settings of its block replaced, which are not checked again."""
    settings = settings_of(config).model_copy(update=dict(changes))
    return config.model_copy(update={BLOCK_OF_METHOD[config.method]: settings})


def _savings(config: RunConfig) -> Iterator[dict[str, JsonValue]]:
    values = settings_of(config).model_dump()
    changes: dict[str, JsonValue] = {}
    if values["grad_checkpoint"] is False:
        changes = {"grad_checkpoint": True}
        yield changes
    rows = int(values["batch_size"])
    if rows > 1:
        times = rows * int(values["gradient_accumulation_steps"])
        yield {**changes, "batch_size": 1, "gradient_accumulation_steps": times}
