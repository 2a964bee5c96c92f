"""The final table: what each variant reaches on the same held-out items, and at what cost.

Everything in it is read from files that the pipeline's runs measured: the answers of the
evaluations, the events of the training. Baselines are counted from the items alone. It does not
know how it is shown (table_text.py, table_plot.py).

table.json   PipelineTable      table.csv   a row a variant or baseline
table.txt    for people         table.png   accuracies with their intervals
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.config import settings_of
from OnPolicyDistill.datasets.labelled import load_items
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.evaluation.baselines import Baseline, baselines_of
from OnPolicyDistill.evaluation.comparison import compare_variants
from OnPolicyDistill.evaluation.labelled_report import (
    ClassificationReport,
    Interval,
    PairComparison,
    Prediction,
    SavedEvaluation,
    load_evaluation,
)
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.pipelines.costs import Chain, answering_peak_gb, chains_of
from OnPolicyDistill.pipelines.directory import PipelineDirectory, PipelineRecord
from OnPolicyDistill.pipelines.stages import Stage
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.pipeline import CompareSettings

TABLE = "table.json"


class Row(BaseModel):
    """A value of the table."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class VariantRow(Row):
    """A variant on all items. Times are wall-clock seconds, memory is MLX's, in GB of 1e9 bytes."""

    name: str
    model: str
    stage: str | None = Field(description="The stage whose adapter answers; null is the model.")
    train_run_id: str | None
    evaluation_run_id: str
    num_items: int
    num_correct: int
    accuracy: float
    interval: Interval = Field(description="95 % interval of the accuracy over the items.")
    parse_rate: float = Field(description="Share of replies from which a label could be read.")
    truncated_share: float = Field(description="Share of replies that were cut at their longest.")
    tokens_per_answer: float
    seconds_per_answer: float
    answer_peak_gb: float | None = Field(description="While answering; null where not measured.")
    train_peak_gb: float | None = Field(description="Of any step of its training, from the start.")
    train_seconds: float | None = Field(description="Of its own stage's steps.")
    all_train_seconds: float | None = Field(description="With those of the stages it goes on from.")
    behind_best: float = Field(description="The best accuracy minus this one, on the same items.")
    behind_interval: Interval | None = Field(
        description="95 % interval of that by paired bootstrap; null for the best itself."
    )
    is_as_good_as_best: bool = Field(description="It is the best, or that interval holds 0.")


class PipelineTable(Row):
    """Variants in their order, and rules that need no model.

    `winner` is null where another variant is as good as the best within the interval.
    """

    pipeline_id: str
    name: str
    inputs: str
    labels: tuple[str, ...]
    num_items: int
    best: str
    winner: str | None
    variants: tuple[VariantRow, ...]
    baselines: tuple[Baseline, ...]
    seconds: float = Field(description="Active time of all its stages, skipped ones included.")


def write_table(
    pipeline: PipelineDirectory, stages: Sequence[Stage], record: PipelineRecord
) -> PipelineTable | None:
    """Write the table in all its forms; None where the pipeline compares nothing.

    Raises:
        InputError: the variants did not answer the same items.
    """
    # Here and not above: the plot takes a third of a second, which looking at a pipeline would pay.
    from OnPolicyDistill.pipelines.table_plot import plot_table  # noqa: PLC0415
    from OnPolicyDistill.pipelines.table_text import describe_table, table_csv  # noqa: PLC0415

    if pipeline.settings().compare is None:
        return None
    table = make_table(pipeline, stages, record)
    write_text_atomically(pipeline.path / "table.txt", describe_table(table) + "\n")
    write_text_atomically(pipeline.path / "table.csv", table_csv(table))
    plot_table(table, pipeline.path / "table.png")
    # Last, because its presence says that the others are there.
    write_text_atomically(pipeline.path / TABLE, table.model_dump_json(indent=1))
    return table


def read_table(pipeline: PipelineDirectory) -> PipelineTable | None:
    """Read the table; None where there is none yet.

    Raises:
        InputError: it is damaged.
    """
    file = pipeline.path / TABLE
    try:
        return PipelineTable.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        action = f"Delete it and write it again: opd pipeline report {pipeline.pipeline_id}."
        raise InputError(f"{file} is no table of a pipeline.", action) from error


def make_table(
    pipeline: PipelineDirectory, stages: Sequence[Stage], record: PipelineRecord
) -> PipelineTable:
    """Gather the table from the runs of a finished pipeline.

    Raises:
        InputError: an evaluation is missing or damaged, or the variants answered other items.
    """
    settings = pipeline.settings()
    compare = settings.compare
    assert compare is not None, "the pipeline compares"
    runs = {one.name: pipeline.run(one.run_id) for one in record.stages if one.run_id is not None}
    answering = [stage for stage in stages if stage.variant is not None]
    saved = {stage.name: load_evaluation(runs[stage.name].path) for stage in answering}
    best = max(saved, key=lambda name: _only(saved[name]).accuracy or 0.0)
    pairs = _against(best, saved, compare.seed)
    chains = chains_of(stages, runs)
    rows = tuple(
        _row(stage, saved[stage.name], pairs.get(stage.name), chains, runs) for stage in answering
    )
    name = _only(saved[best]).name
    return PipelineTable(
        pipeline_id=pipeline.pipeline_id,
        name=settings.name,
        inputs=compare.inputs,
        labels=saved[best].report.labels,
        num_items=rows[0].num_items,
        best=name,
        winner=name if sum(row.is_as_good_as_best for row in rows) == 1 else None,
        variants=rows,
        baselines=_baselines(compare, _answers(saved[best])),
        seconds=sum(one.seconds or 0.0 for one in record.stages),
    )


def _row(
    stage: Stage,
    saved: SavedEvaluation,
    pair: PairComparison | None,
    chains: Mapping[str, Chain],
    runs: Mapping[str, RunDirectory],
) -> VariantRow:
    report = _only(saved)
    chain = None if stage.start is None else chains[stage.start]
    settings = settings_of(stage.config)
    assert isinstance(settings, EvaluationSettings)
    assert report.accuracy is not None, "comparing has graded the items"
    assert report.interval is not None
    return VariantRow(
        name=report.name,
        model=settings.variants[0].model,
        stage=stage.start,
        train_run_id=None if chain is None else chain.run_id,
        evaluation_run_id=saved.report.run_id,
        num_items=report.num_graded,
        num_correct=report.num_correct,
        accuracy=report.accuracy,
        interval=report.interval,
        parse_rate=report.parse_rate,
        truncated_share=report.truncated_share,
        tokens_per_answer=report.tokens_per_answer,
        seconds_per_answer=report.seconds_per_answer,
        answer_peak_gb=answering_peak_gb(runs[stage.name]),
        train_peak_gb=None if chain is None else chain.whole.peak_gb,
        train_seconds=None if chain is None else chain.own.seconds,
        all_train_seconds=None if chain is None else chain.whole.seconds,
        behind_best=0.0 if pair is None else pair.difference,
        behind_interval=None if pair is None else pair.interval,
        is_as_good_as_best=pair is None or pair.better is None,
    )


def _against(
    best: str, saved: Mapping[str, SavedEvaluation], seed: int
) -> dict[str, PairComparison]:
    """The best beside each other variant, on the same items.

    Raises:
        InputError: they did not answer the same items, or no item has a gold label.
    """
    ours = _answers(saved[best])
    return {
        name: compare_variants({best: ours, name: _answers(other)}, seed)[0]
        for name, other in saved.items()
        if name != best
    }


def _baselines(compare: CompareSettings, answers: Sequence[Prediction]) -> tuple[Baseline, ...]:
    """What rules reach on exactly the items that were answered."""
    if not compare.baselines:
        return ()
    asked = {answer.index for answer in answers}
    items = [item for item in load_items(Path(compare.inputs), sees=True) if item.index in asked]
    return tuple(one for one in baselines_of(items) if one.rule in compare.baselines)


def _only(saved: SavedEvaluation) -> ClassificationReport:
    """An evaluation of a comparison has one variant."""
    (report,) = saved.report.variants
    return report


def _answers(saved: SavedEvaluation) -> Sequence[Prediction]:
    (answers,) = saved.answers.values()
    return answers
