"""Which student or model a name means, and which names there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from pydantic import Field
from sqlalchemy import select

from backend.backend import Backend
from backend.history.query import RunQuery, find_runs
from backend.history.tables import RunRow
from backend.history.views import RunSummary, View
from backend.models.library import ModelLibrary
from backend.paths import PathError, probe
from backend.problems import RefusedError
from backend.v1.errors import MODEL_NOT_FOUND
from OnPolicyDistill.registry import local_folder
from OnPolicyDistill.runs.checkpoints import list_checkpoints

Checkpoint = Literal["best", "last"] | int

LATEST = "latest"
LISTED_RUNS = 200


class ModelNotFoundError(RefusedError):
    """Nothing here is called that: the status and the code that clients of OpenAI's form know."""

    def __init__(self, message: str) -> None:
        super().__init__(
            HTTPStatus.NOT_FOUND,
            MODEL_NOT_FOUND,
            message,
            "GET /v1/models lists what can be asked.",
        )


@dataclass(frozen=True, slots=True)
class Named:
    """A run with one of its checkpoints, or a model."""

    run_id: str | None = None
    checkpoint: Checkpoint = "best"
    model: str | None = None


class ModelEntry(View):
    """A model as lists of OpenAI's form have it."""

    id: str = Field(description="What requests call it.")
    object: Literal["model"] = "model"
    created: int = Field(description="Unix time; of a model that is no student, 0.")
    owned_by: str = Field(description="The run whose student it is, or where the model is from.")


class ModelPage(View):
    """All students and local models."""

    object: Literal["list"] = "list"
    data: tuple[ModelEntry, ...]


def named(backend: Backend, library: ModelLibrary, name: str) -> Named:
    """Find what a name means: a run first, then a run at a checkpoint, then a model.

    A folder is a model where the user named it as one: a token that only reads neither learns
    which folders there are, nor has any loaded.

    Raises:
        RefusedError: nothing here is called that, or the run has no such checkpoint.
    """
    run = _run(backend, name)
    if run is not None:
        return _student(backend, run, "best")
    before, _, behind = name.rpartition("@")
    checkpoint = _checkpoint(behind)
    run = None if checkpoint is None else _run(backend, before)
    if run is not None and checkpoint is not None:
        return _student(backend, run, checkpoint)
    if not _is_model(library, name):
        raise ModelNotFoundError(f"There is no run and no model {name[:200]!r} on this machine.")
    return Named(model=name)


def _student(backend: Backend, run: RunSummary, checkpoint: Checkpoint) -> Named:
    """A run's student at a checkpoint that is there."""
    steps = [int(path.name) for path in list_checkpoints(backend.existing(run.run_id))]
    if not steps:
        raise ModelNotFoundError(f"The run {run.name!r} has no checkpoint yet, so no student.")
    if isinstance(checkpoint, int) and checkpoint not in steps:
        there = ", ".join(map(str, sorted(steps)))
        raise ModelNotFoundError(
            f"The run {run.name!r} has no checkpoint of step {checkpoint}; it has: {there}."
        )
    return Named(run_id=run.run_id, checkpoint=checkpoint)


def _is_model(library: ModelLibrary, name: str) -> bool:
    try:
        probe(name)
    except PathError:
        return False
    return local_folder(name, library.hub.cache_dir) is not None and library.knows_folder(name)


def entries(backend: Backend, library: ModelLibrary) -> tuple[ModelEntry, ...]:
    """List students, the newest first, then models; a run is called by its name where it can be."""
    runs = _trained(backend)
    models = [model for model in library.local() if model.is_complete]
    names = Counter(run.name for run in runs)
    taken = {model.name for model in models} | {LATEST}
    students = tuple(
        ModelEntry(
            id=run.name if names[run.name] == 1 and run.name not in taken else run.run_id,
            created=int(run.created),
            owned_by=run.run_id,
        )
        for run in runs
    )
    return students + tuple(
        ModelEntry(id=model.alias or model.name, created=0, owned_by=model.origin)
        for model in models
    )


def _checkpoint(text: str) -> Checkpoint | None:
    if text.isdecimal() and len(text) <= 12:
        return int(text)
    return "best" if text == "best" else "last" if text == "last" else None


def _run(backend: Backend, name: str) -> RunSummary | None:
    """A run by `latest`, id or name: the newest that has a checkpoint, else the newest.

    As in the list, one that is archived comes after those that are not.
    """
    if name == LATEST:
        return next(iter(_trained(backend)), None)
    with backend.index.session() as session:
        query = select(RunRow.run_id).where((RunRow.run_id == name) | (RunRow.name == name))
        run_ids = session.scalars(
            query.order_by(RunRow.archived, RunRow.created.desc()).limit(LISTED_RUNS)
        ).all()
    runs = [run for run in map(backend.index.get, run_ids) if run is not None]
    own = [run for run in runs if run.run_id == name]
    trained = [run for run in runs if run.has_checkpoint]
    return next(iter((*own, *trained, *runs)), None)


def _trained(backend: Backend) -> tuple[RunSummary, ...]:
    """The newest runs that have a student, archived ones left out."""
    page = find_runs(backend.index, RunQuery(limit=LISTED_RUNS))
    return tuple(run for run in page.runs if run.has_checkpoint)
