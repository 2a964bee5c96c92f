"""The final table says what the runs' own files say, and names no winner inside the interval."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.evaluation.intervals import wilson_interval
from OnPolicyDistill.evaluation.labelled_files import Answered, write_evaluation
from OnPolicyDistill.evaluation.labelled_report import FOLDER, Prediction
from OnPolicyDistill.pipelines.beginning import write_again
from OnPolicyDistill.pipelines.directory import (
    PipelineDirectory,
    PipelineRecord,
    StageRecord,
    create_pipeline,
)
from OnPolicyDistill.pipelines.stages import stages_of
from OnPolicyDistill.pipelines.table import PipelineTable, read_table
from OnPolicyDistill.pipelines.table_plot import plot_table
from OnPolicyDistill.pipelines.table_text import describe_table, verdict
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import EvaluationFinished, RunFinished, StepFinished
from OnPolicyDistill.runs.log import EventWriter
from tests.backend.tiny import write_jsonl
from tests.pipelines.conftest import settled

NUM_ITEMS = 40
TWO = """\
name: two
stages:
  - name: sft
    method: sft
    settings: {{model: tiny-student, conversations: c.jsonl}}
  - name: rewards
    config: grpo/demo
    from: sft
compare:
  inputs: {items}
  variants: [sft, rewards, {{model: tiny-student, name: before}}]
"""


def gold(index: int) -> str:
    return "yes" if index % 2 else "no"


def answers(num_right: int) -> list[Prediction]:
    return [
        Prediction(
            index=index, text=f"item {index}", gold=gold(index),
            predicted=gold(index) if index < num_right else None, reply="r", num_tokens=3,
            seconds=0.5, finish_reason="length" if index == 0 else "stop",
        )
        for index in range(NUM_ITEMS)
    ]  # fmt: skip


def write_answers(run: RunDirectory, name: str, given: Sequence[Prediction]) -> None:
    (run.path / FOLDER).mkdir()
    lines = "".join(answer.model_dump_json() + "\n" for answer in given)
    (run.path / FOLDER / "01.jsonl").write_text(lines)
    answered = Answered(run.run_id, "items", ("no", "yes"), None, {name: given}, ("01.jsonl",), 0)
    write_evaluation(run.path / FOLDER, answered)
    with EventWriter(run.events_file) as log:
        log.write(EvaluationFinished(step=1, metrics={"peak_memory_gb": 0.25}))


def write_training(run: RunDirectory, seconds: float, peak_gb: float) -> None:
    with EventWriter(run.events_file) as log:
        for peak in (peak_gb / 2, peak_gb):
            log.write(StepFinished(step=1, metrics={"peak_memory_gb": peak}))
        report = {"train_seconds": seconds}
        log.write(RunFinished(step=1, because="completed", report=report))


@pytest.fixture
def measured(tmp_path: Path) -> PipelineDirectory:
    """A finished pipeline: 20, 38 and 19 of 40 right."""
    items = [
        {"text": f"item {index}", "label": gold(index), "adjacent": index < 20}
        for index in range(NUM_ITEMS)
    ]
    file = write_jsonl(tmp_path / "items.jsonl", items)
    settings = settled(TWO.format(items=file))
    pipeline = create_pipeline(tmp_path / "workspace", settings)
    rights = {"sft": 20, "rewards": 38, "before": 19}
    records = []
    for stage in stages_of(settings):
        run = create_run(pipeline.workspace, stage.config)
        if stage.variant is None:
            write_training(run, *((10.0, 1.0) if stage.name == "sft" else (5.0, 3.0)))
        else:
            write_answers(run, stage.variant, answers(rights[stage.variant]))
        records.append(StageRecord(name=stage.name, state="finished", run_id=run.run_id, seconds=7))
    pipeline.keep(PipelineRecord(state="finished", stages=tuple(records)))
    return pipeline


def test_every_number_is_one_that_a_run_measured(measured: PipelineDirectory) -> None:
    table = write_again(measured)
    assert read_table(measured) == table
    sft, rewards, before = table.variants
    assert [row.accuracy for row in table.variants] == [20 / 40, 38 / 40, 19 / 40]
    assert (rewards.tokens_per_answer, rewards.seconds_per_answer) == (3, 0.5)
    assert rewards.truncated_share == 1 / 40
    assert rewards.interval.low < rewards.accuracy < rewards.interval.high
    # Rewards go on from sft: their training took both stages' time, and the larger peak.
    assert (sft.train_seconds, sft.all_train_seconds, sft.train_peak_gb) == (10, 10, 1)
    assert (rewards.train_seconds, rewards.all_train_seconds) == (5, 15)
    assert (rewards.train_peak_gb, rewards.answer_peak_gb) == (3, 0.25)
    assert (before.train_run_id, before.all_train_seconds, before.train_peak_gb) == (None,) * 3
    assert {row.evaluation_run_id for row in table.variants} <= {
        stage.run_id for stage in measured.record().stages
    }
    assert (table.num_items, table.seconds) == (NUM_ITEMS, 35)


def test_a_winner_stands_outside_the_paired_interval_of_every_other(
    measured: PipelineDirectory,
) -> None:
    table = write_again(measured)
    assert (table.best, table.winner) == ("rewards", "rewards")
    assert verdict(table) == "rewards is better than every other variant beyond chance."
    before = table.variants[2]
    assert before.behind_best == pytest.approx(19 / 40)
    assert before.behind_interval is not None
    assert before.behind_interval.low > 0
    assert not before.is_as_good_as_best


def test_nobody_wins_inside_the_interval(measured: PipelineDirectory) -> None:
    stage = measured.record().stages[-1]
    run = measured.run(str(stage.run_id))
    shutil.rmtree(run.path / FOLDER)
    write_answers(run, "before", answers(37))
    table = write_again(measured)
    assert (table.best, table.winner) == ("rewards", None)
    assert verdict(table) == (
        "No winner: rewards has the most right answers, and before is as good within the interval."
    )


def test_rules_that_need_no_model_stand_beside_the_variants(measured: PipelineDirectory) -> None:
    table = write_again(measured)
    assert {rule.rule: rule.accuracy for rule in table.baselines}["majority"] == 0.5
    assert {rule.rule for rule in table.baselines} == {"majority", "adjacency", "length"}
    text = describe_table(table)
    assert "rule: adjacency" in text
    assert "95.0 %" in text


def test_the_table_is_written_for_people_programs_and_spreadsheets(
    measured: PipelineDirectory,
) -> None:
    table = write_again(measured)
    text = (measured.path / "table.json").read_text()
    assert PipelineTable.model_validate_json(text) == table
    assert (measured.path / "table.png").read_bytes().startswith(b"\x89PNG")
    assert describe_table(table) in (measured.path / "table.txt").read_text()
    with (measured.path / "table.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows[:3]] == ["sft", "rewards", "before"]
    assert {row["kind"] for row in rows[3:]} == {"rule"}
    assert float(rows[1]["accuracy"]) == 0.95
    assert float(rows[1]["interval_low"]) == table.variants[1].interval.low
    assert rows[1]["behind_interval_low"] == ""


def test_an_interval_that_rounding_leaves_beside_its_share_is_drawn(
    measured: PipelineDirectory, tmp_path: Path
) -> None:
    assert wilson_interval(0, 24).low > 0, "a share of 0 lies below its own interval"
    table = write_again(measured)
    none = {"accuracy": 0.0, "interval": wilson_interval(0, 24)}
    rows = (table.variants[0].model_copy(update=none), *table.variants[1:])
    plot_table(table.model_copy(update={"variants": rows}), tmp_path / "table.png")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_pipeline_that_is_not_finished_has_no_table(measured: PipelineDirectory) -> None:
    record = measured.record()
    measured.keep(record.model_copy(update={"state": "paused"}))
    with pytest.raises(InputError, match="is paused: it has no table yet"):
        write_again(measured)


def test_variants_that_answered_other_items_are_not_compared(measured: PipelineDirectory) -> None:
    run = measured.run(str(measured.record().stages[-1].run_id))
    fewer = "".join(answer.model_dump_json() + "\n" for answer in answers(3)[:30])
    (run.path / FOLDER / "01.jsonl").write_text(fewer)
    with pytest.raises(InputError, match="did not answer the same items"):
        write_again(measured)
