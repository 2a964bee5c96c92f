"""Labelled evaluations: what variants answered, and how they compare. They start as runs do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import Field

from backend.evaluations import (
    AnswerPage,
    AnswerQuery,
    EvaluationComparison,
    compare_evaluations,
    heat_map_of,
    page_of_answers,
    report_of,
)
from backend.routers.dependencies import NAME_PATTERN, Here, RunId, refusals
from OnPolicyDistill.evaluation.labelled_report import EvaluationReport

router = APIRouter(tags=["evaluations"])

EvaluatedRuns = Annotated[
    tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...],
    Query(min_length=1, max_length=8, description="Runs with a labelled evaluation."),
]


@router.get("/runs/{run_id}/evaluation", responses=refusals(404))
def read_evaluation(backend: Here, run_id: RunId) -> EvaluationReport:
    """Return what a run's labelled evaluation found: of an evaluation or a prompt distillation."""
    return report_of(backend.existing(run_id))


@router.get("/runs/{run_id}/evaluation/predictions", responses=refusals(404))
def page_predictions(
    backend: Here, run_id: RunId, query: Annotated[AnswerQuery, Query()]
) -> AnswerPage:
    """Return answers of a variant, in the order of the items."""
    return page_of_answers(backend.existing(run_id), query)


@router.get(
    "/runs/{run_id}/evaluation.png",
    response_class=FileResponse,
    responses={
        200: {"content": {"image/png": {}}, "description": "The heat map."},
        **refusals(404),
    },
)
def read_heat_map(backend: Here, run_id: RunId) -> FileResponse:
    """Send the heat map of the confusions."""
    file = heat_map_of(backend.existing(run_id))
    return FileResponse(file, filename=f"{run_id}.png", media_type="image/png")


@router.get("/comparison/evaluation", responses=refusals(404))
def compare_answers(backend: Here, run: EvaluatedRuns) -> EvaluationComparison:
    """Compare accuracies in pairs, with 95 % intervals of a paired bootstrap."""
    return compare_evaluations([backend.existing(run_id) for run_id in dict.fromkeys(run)])
