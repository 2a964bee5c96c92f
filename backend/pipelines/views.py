"""How pipelines look from outside."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.history.views import RunSummary, View
from OnPolicyDistill.pipelines.status import PipelineStatus
from OnPolicyDistill.pipelines.table import PipelineTable

TableFile = Literal["table.csv", "table.json", "table.png", "table.txt"]


MAX_CHARACTERS = 100_000


class ShippedPipeline(View):
    """A pipeline that is shipped, with what its comment says about it."""

    name: str
    title: str
    description: str
    yaml: str


class DamagedPipeline(View):
    """A pipeline whose folder cannot be read."""

    pipeline_id: str
    problem: str


class PipelineList(View):
    """Every pipeline of the workspace, newest first."""

    pipelines: tuple[PipelineStatus, ...]
    damaged: tuple[DamagedPipeline, ...]


class PipelineDetail(View):
    """A pipeline's own page; `runs` are those of its stages that exist, in their order."""

    status: PipelineStatus
    runs: tuple[RunSummary, ...]
    table: PipelineTable | None
    config_yaml: str = Field(description="Every setting of every stage.")
    log_tail: str = Field(description="The last that its process said, where the screen began it.")


class PipelineCreation(View):
    """A pipeline to make; the same again goes on with one that is not finished."""

    yaml: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="As in its file.")
    start: bool = Field(True, description="Begin at once.")
    fresh: bool = Field(False, description="Repeat every stage, also those finished before.")
    anyway: bool = Field(False, description="Start even if less memory is free than it needs.")


class PipelineStart(View):
    """How to begin or go on."""

    anyway: bool = Field(False, description="Start even if less memory is free than it needs.")
