"""Writes what a labelled evaluation found into its folder: the report and the heat map.

It does not know how answers are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.evaluation.classification import classify
from OnPolicyDistill.evaluation.comparison import compare_variants
from OnPolicyDistill.evaluation.free_answers import KnownGrading
from OnPolicyDistill.evaluation.labelled_report import (
    HEAT_MAP,
    REPORT,
    EvaluationReport,
    Prediction,
)
from OnPolicyDistill.files import write_text_atomically


@dataclass(frozen=True, slots=True)
class Answered:
    """What variants answered, by name in their order, and what to count it by."""

    run_id: str
    inputs: str
    labels: tuple[str, ...]
    teacher: str | None
    answers: Mapping[str, Sequence[Prediction]]
    files: tuple[str, ...]
    seed: int
    grading: KnownGrading = "labels"


def write_evaluation(folder: Path, answered: Answered) -> EvaluationReport:
    """Count the answers and write report and heat map into the folder."""
    report = report_on(answered)
    write_text_atomically(folder / REPORT, report.model_dump_json(indent=1))
    if report.grading == "labels" and any(variant.num_graded for variant in report.variants):
        # Here and not above, as matplotlib takes a third of a second.
        from OnPolicyDistill.evaluation.confusion_plot import plot_confusions  # noqa: PLC0415

        plot_confusions(report.variants, folder / HEAT_MAP)
    return report


def report_on(answered: Answered) -> EvaluationReport:
    """Count the answers; variants are compared in pairs where all have gold labels."""
    taught = None if answered.teacher is None else answered.answers.get(answered.teacher)
    variants = tuple(
        classify(
            name,
            answers,
            answered.labels,
            None if name == answered.teacher else taught,
            is_free=answered.grading != "labels",
        )
        for name, answers in answered.answers.items()
    )
    comparable = len(variants) > 1 and all(variant.num_graded for variant in variants)
    return EvaluationReport(
        run_id=answered.run_id,
        inputs=answered.inputs,
        labels=answered.labels,
        num_items=max(variant.num_items for variant in variants),
        teacher=answered.teacher,
        variants=variants,
        comparisons=compare_variants(answered.answers, answered.seed) if comparable else (),
        files=answered.files,
        grading=answered.grading,
    )
