"""Labelled evaluations of runs: reports, pages of answers, heat maps, compared variants."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from pydantic import Field

from backend.history.views import View
from backend.problems import NotFoundError
from OnPolicyDistill.evaluation.comparison import compare_variants
from OnPolicyDistill.evaluation.labelled_report import (
    FOLDER,
    HEAT_MAP,
    REPORT,
    EvaluationReport,
    PairComparison,
    Prediction,
    SavedEvaluation,
    gathered,
    load_evaluation,
    read_predictions,
    read_report,
)
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.directory import RunDirectory

Only = Literal["all", "right", "wrong", "unparseable"]
MAX_REPLY = 4_000


class AnswerQuery(View):
    """Which answers of a variant are wanted."""

    variant: str = Field(min_length=1, max_length=80)
    only: Only = "all"
    gold: str | None = Field(None, max_length=400, description="The right label of the items.")
    predicted: str | None = Field(None, max_length=400, description="The label that was answered.")
    words: str = Field("", max_length=200, description="Occur in the item or in the reply.")
    offset: int = Field(0, ge=0, le=10**9)
    limit: int = Field(50, ge=1, le=200)


class Answer(View):
    """An answer to a labelled item; a long reply is cut in front, where thinking stands."""

    index: int
    text: str
    gold: str | None
    predicted: str | None
    reply: str = Field(description="At most its last 4,000 characters.")
    num_tokens: int
    seconds: float
    finish_reason: str


class AnswerPage(View):
    """Answers of one variant, in the order of the items; `total` counts those asked for."""

    variant: str
    answers: tuple[Answer, ...]
    offset: int
    total: int


class EvaluationComparison(View):
    """Variants of one or several runs, compared in pairs on the same items."""

    variants: tuple[str, ...]
    pairs: tuple[PairComparison, ...]


def report_of(run: RunDirectory) -> EvaluationReport:
    """Return what a run's labelled evaluation found.

    Raises:
        NotFoundError: it has none, or none yet.
        InputError: the report is damaged.
    """
    return read_report(_own_file(run, REPORT))


def heat_map_of(run: RunDirectory) -> Path:
    """Return the picture of the confusions.

    Raises:
        NotFoundError: there is none.
    """
    return _own_file(run, HEAT_MAP)


def page_of_answers(run: RunDirectory, query: AnswerQuery) -> AnswerPage:
    """Return some of a variant's answers.

    Raises:
        NotFoundError: there is no evaluation, or no such variant.
        InputError: the answers are damaged.
    """
    report = report_of(run)
    names = [each.name for each in report.variants]
    if query.variant not in names:
        raise NotFoundError(f"Run {called(run)} has no variant {query.variant!r}.")
    file = _own_file(run, Path(report.files[names.index(query.variant)]).name)
    found = [answer for answer in read_predictions(file) if _is_wanted(answer, query)]
    return AnswerPage(
        variant=query.variant,
        answers=tuple(map(_answer, found[query.offset : query.offset + query.limit])),
        offset=query.offset,
        total=len(found),
    )


def compare_evaluations(runs: list[RunDirectory]) -> EvaluationComparison:
    """Compare all variants of the runs.

    Raises:
        NotFoundError: a run has no evaluation.
        InputError: they did not answer the same items, or there is nothing to compare.
    """
    answers = gathered({run.run_id: _saved(run) for run in runs})
    return EvaluationComparison(variants=tuple(answers), pairs=compare_variants(answers))


def _saved(run: RunDirectory) -> SavedEvaluation:
    _own_file(run, REPORT)
    return load_evaluation(run.path)


def _own_file(run: RunDirectory, name: str) -> Path:
    """A regular file of the run's evaluation: a link could point anywhere."""
    file = run.path / FOLDER / name
    try:
        is_own = stat.S_ISREG(file.lstat().st_mode) and not file.parent.is_symlink()
    except OSError:
        is_own = False
    if not is_own:
        raise NotFoundError(f"Run {called(run)} has no labelled evaluation, or none yet.")
    return file


def _is_wanted(answer: Prediction, query: AnswerQuery) -> bool:
    if query.gold is not None and answer.gold != query.gold:
        return False
    if query.predicted is not None and answer.predicted != query.predicted:
        return False
    words = query.words.casefold()
    if words not in answer.text.casefold() and words not in answer.reply.casefold():
        return False
    return _is_of_kind(answer, query.only)


def _is_of_kind(answer: Prediction, only: Only) -> bool:
    if only == "unparseable":
        return answer.predicted is None
    if only == "all":
        return True
    return answer.gold is not None and (answer.predicted == answer.gold) == (only == "right")


def _answer(answer: Prediction) -> Answer:
    return Answer(**{**answer.model_dump(), "reply": answer.reply[-MAX_REPLY:]})
