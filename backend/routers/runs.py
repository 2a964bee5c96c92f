"""Runs: make, list, read, annotate, duplicate, compare."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue

from backend.backend import Backend
from backend.comparison import Comparison, compare_runs
from backend.completions import CompletionPage, same_prompts
from backend.history.groups import RunGroups, find_groups
from backend.history.query import RunPage, RunQuery, find_runs, list_keys
from backend.history.views import RunDetail, RunSummary, ShownState, View
from backend.ranks import RanksAsked
from backend.routers.dependencies import NAME_PATTERN, Here, RunId, refusals
from backend.runs import Making, annotate, duplicate, make_run, name_again
from backend.saved_views import SavedViews, read_views, write_views
from OnPolicyDistill.runs.annotations import Annotations, Tag

router = APIRouter(tags=["runs"])

Key = Annotated[str, Field(min_length=1, max_length=120)]
ComparedRuns = Annotated[
    tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...],
    Query(min_length=2, max_length=8, description="Two to eight runs; the first is compared."),
]
ARCHIVED = {"no": False, "yes": True, "all": None}


class RunCreation(RanksAsked):
    """A run to make."""

    config: dict[str, JsonValue] = Field(
        description="As in a config file; what is left out takes its default."
    )
    annotations: Annotations = Annotations()
    start: bool = Field(False, description="Queue it at once.")
    anyway: bool = Field(False, description="Start even if less memory is free than it needs.")
    confirm: bool = Field(
        False, description="Prompts may leave this machine, for a teacher served elsewhere."
    )


class RunDuplication(View):
    """A run to make from another one."""

    changes: dict[Key, JsonValue] = Field(
        default_factory=dict,
        description="Dotted keys and new values, such as distillation.lora.rank: 32.",
    )
    annotations: Annotations = Annotations()
    start: bool = Field(False, description="Queue it at once.")
    anyway: bool = Field(False, description="Start even if less memory is free than it needs.")
    confirm: bool = Field(
        False, description="Prompts may leave this machine, for a teacher served elsewhere."
    )


class AnnotationChange(View):
    """What to change; a field left out stays. A name of null goes back to the config's."""

    name: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    tags: Annotated[tuple[Tag, ...], Field(max_length=50)] = ()
    note: Annotated[str, Field(max_length=20_000)] = ""
    favourite: bool = False
    archived: bool = False


class Keys(View):
    """What runs can be filtered and sorted by."""

    keys: tuple[str, ...]


class Reindexed(View):
    """The index was rebuilt."""

    num_runs: int


class RunListing(View):
    """Query of a list of runs."""

    search: str = Field("", max_length=200, description="Words that all have to occur.")
    filter: tuple[Annotated[str, Field(max_length=300)], ...] = Field(
        (), max_length=20, description="Such as eval_reverse_kl<0.5; all have to hold."
    )
    state: tuple[ShownState, ...] = Field((), max_length=9)
    favourite: bool | None = None
    archived: Literal["no", "yes", "all"] = "no"
    sort: str = Field("-created", max_length=121, description="A key; a minus is falling.")
    group: Key | None = Field(
        None, description="A key; runs of one value stand together, each group sorted for itself."
    )
    offset: int = Field(0, ge=0, le=10**9)
    limit: int = Field(50, ge=1, le=500)
    column: tuple[Key, ...] = Field((), max_length=50, description="Keys to show the values of.")


@router.get("/runs")
def list_runs(backend: Here, listing: Annotated[RunListing, Query()]) -> RunPage:
    """List runs: search, filters over any config key or metric, sort, pages."""
    page = find_runs(backend.index, _query(backend, listing))
    return page.model_copy(update={"runs": tuple(backend.shown(run) for run in page.runs)})


@router.get("/run-groups")
def list_groups(backend: Here, listing: Annotated[RunListing, Query()]) -> RunGroups:
    """List the groups of a list of runs in its order, with the spread of the columns asked for.

    Without `group` they are grouped by method.
    """
    return find_groups(backend.index, _query(backend, listing), listing.group or "method")


def _query(backend: Backend, listing: RunListing) -> RunQuery:
    return RunQuery(
        search=listing.search,
        filters=listing.filter,
        states=listing.state,
        favourite=listing.favourite,
        archived=ARCHIVED[listing.archived],
        sort=listing.sort,
        group=listing.group,
        offset=listing.offset,
        limit=listing.limit,
        columns=listing.column,
        shown_states=backend.shown_states(),
    )


@router.post("/runs", status_code=201, responses=refusals(409, 507))
def create(backend: Here, creation: RunCreation) -> RunSummary:
    """Make a run from a config; every call makes another one."""
    asked = creation
    make = Making(
        start=asked.start, anyway=asked.anyway, confirm=asked.confirm, ranks=asked.of_ranks
    )
    run = make_run(backend, asked.config, asked.annotations, make)
    return backend.changed(run.run_id)


@router.get("/run-keys")
def read_keys(backend: Here) -> Keys:
    """List every key that some run can be filtered and sorted by."""
    return Keys(keys=tuple(list_keys(backend.index)))


@router.get("/run-views")
def list_views(backend: Here) -> SavedViews:
    """List the saved views of the list of runs."""
    return read_views(backend.settings)


@router.put("/run-views", responses=refusals(507))
def replace_views(backend: Here, views: SavedViews) -> SavedViews:
    """Replace the saved views; the same ones again change nothing."""
    return write_views(backend.settings, views)


@router.post("/reindex")
def rebuild_index(backend: Here) -> Reindexed:
    """Rebuild the index from the folders; what is in it follows from them."""
    return Reindexed(num_runs=backend.index.rebuild())


@router.get("/comparison", responses=refusals(404))
def compare(backend: Here, run: ComparedRuns) -> Comparison:
    """Compare runs: the settings that differ, and metrics with differences to the first run."""
    return compare_runs(backend, run)


@router.get("/comparison/completions", responses=refusals(404, 409))
def compare_completions(
    backend: Here,
    run: ComparedRuns,
    step: Annotated[int | None, Query(ge=0, le=2**53, description="At or before it.")] = None,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> CompletionPage:
    """Return what the runs' students said last to the same prompts, side by side."""
    return same_prompts(backend, run, step, offset, limit)


@router.get("/runs/{run_id}", responses=refusals(404))
def read(backend: Here, run_id: RunId) -> RunDetail:
    """Return a run's own page."""
    return backend.detail(run_id)


@router.patch("/runs/{run_id}/annotations", responses=refusals(404, 409, 507))
def change_annotations(backend: Here, run_id: RunId, change: AnnotationChange) -> RunSummary:
    """Rename, tag, note, favourite or archive a run; saying it again changes nothing."""
    annotate(backend.existing(run_id), change.model_dump(include=change.model_fields_set))
    return backend.changed(run_id)


@router.post("/runs/{run_id}/duplicate", status_code=201, responses=refusals(404, 409, 507))
def make_duplicate(backend: Here, run_id: RunId, duplication: RunDuplication) -> RunSummary:
    """Make a run with another run's settings and some changes; its name is the other's, again."""
    values = duplicate(backend.existing(run_id), dict(duplication.changes))
    asked = duplication
    make = Making(start=asked.start, anyway=asked.anyway, confirm=asked.confirm)
    annotations = asked.annotations
    if annotations.name is None and not any(key.endswith(".run_name") for key in asked.changes):
        again = name_again(backend.summary(run_id))
        annotations = annotations.model_copy(update={"name": again})
    run = make_run(backend, values, annotations, make)
    return backend.changed(run.run_id)
