"""What can be known before a run: presets, the form, memory and time, the check, the pair."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, JsonValue

from backend.door.door import DOOR
from backend.door.questions import CheckQuestion, PairQuestion, PlanQuestion
from backend.form import FormField, form_fields
from backend.history.views import View
from backend.models.views import ModelChoices
from backend.paths import MAX_PATH_CHARACTERS, check_named_paths, probe
from backend.presets import Preset, shipped_presets
from backend.routers.dependencies import Here
from backend.workbench import Bench
from OnPolicyDistill.config import RunConfig, parse_config
from OnPolicyDistill.planning.check_report import CheckReport
from OnPolicyDistill.planning.chips import CHIPS, this_chip
from OnPolicyDistill.planning.pair import PairReport
from OnPolicyDistill.planning.pairs import LENGTHS, MOST_LENGTHS, PairMap
from OnPolicyDistill.planning.plan import Plan

router = APIRouter(tags=["planning"])

ModelName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_PATH_CHARACTERS,
        description="Registry alias, hub id or folder.",
    ),
]
Config = Annotated[
    dict[str, JsonValue], Field(description="As in a config file; defaults may be left out.")
]


class PlanRequest(View):
    """A run to forecast, on this machine or on another."""

    config: Config
    memory_gb: float | None = Field(
        None, ge=1, le=10_000, description="The machine's memory as its maker names it, in GB."
    )
    chip: str | None = Field(None, min_length=1, max_length=60, description="Such as m3-ultra.")


class CheckRequest(View):
    """A run to check."""

    config: Config


class PairRequest(View):
    """Two models to compare."""

    student: ModelName
    teacher: ModelName


class ChoicesRequest(View):
    """A run, and the setting of its block that names a model."""

    config: Config
    key: str = Field(min_length=1, max_length=60, description="Such as teacher_model.")


class MapRequest(View):
    """A run whose settings every pair is looked at with, on this machine or with other memory."""

    config: Config
    lengths: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field(
        LENGTHS, min_length=1, max_length=MOST_LENGTHS, description="Completion lengths in tokens."
    )
    memory_gb: float | None = Field(
        None, ge=1, le=10_000, description="The machine's memory as its maker names it, in GB."
    )


class Chips(View):
    """Chips that a plan can be made for."""

    this: str
    known: tuple[str, ...]


@router.get("/presets")
def read_presets() -> tuple[Preset, ...]:
    """List the shipped presets with their reasons."""
    return shipped_presets()


@router.get("/schema/fields")
def read_fields() -> tuple[FormField, ...]:
    """List every setting as a form shows it: title, help, unit, range, choices, group."""
    return form_fields()


@router.get("/chips")
def read_chips() -> Chips:
    """List the chips that a plan can be made for, and this machine's."""
    return Chips(this=this_chip().name, known=tuple(CHIPS))


@router.post("/plan")
def plan(backend: Here, request: PlanRequest) -> Plan:
    """Forecast memory by part and time by phase, and say what to change if it does not fit."""
    workspace = backend.settings.workspace
    config = _parsed(request.config).model_dump(mode="json")
    question = PlanQuestion(
        config=config, memory_gb=request.memory_gb, chip=request.chip, workspace=workspace
    )
    return DOOR.ask(question, Plan)


@router.post("/check")
def check(backend: Here, request: CheckRequest) -> CheckReport:
    """Check a run before anything is loaded: pair, files line by line, leakage, disk."""
    config = _parsed(request.config).model_dump(mode="json")
    question = CheckQuestion(config=config, workspace=backend.settings.workspace)
    return DOOR.ask(question, CheckReport)


@router.post("/pair")
def check_pair(pair: PairRequest) -> PairReport:
    """Say in words whether two models speak the same tokens."""
    probe(pair.student)
    probe(pair.teacher)
    return DOOR.ask(PairQuestion(student=pair.student, teacher=pair.teacher), PairReport)


@router.post("/models/choices")
def choices(bench: Bench, request: ChoicesRequest) -> ModelChoices:
    """Forecast a run with each known or local model in one place: which fit beside the other."""
    return bench.choosing.choices(_parsed(request.config), request.key)


@router.post("/models/map")
def pair_map(bench: Bench, request: MapRequest) -> PairMap:
    """Say what the machine can do: pairs by completion length, with verdict, memory and time."""
    return bench.choosing.map(_parsed(request.config), request.lengths, request.memory_gb)


def _parsed(values: dict[str, JsonValue]) -> RunConfig:
    config = parse_config(dict(values))
    check_named_paths(config)
    return config
