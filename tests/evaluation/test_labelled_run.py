import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from OnPolicyDistill.config import EvaluationConfig
from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.evaluation.labelled_report import EvaluationReport, read_predictions
from OnPolicyDistill.evaluation.labelled_run import evaluate_run
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import EvaluationFinished, Event, PhaseChanged, RunFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.settings.evaluation import EvaluationSettings, VariantSettings
from tests.backend.tiny import write_tiny_adapter, write_tiny_model
from tests.described import assert_as_described


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    student = write_tiny_model(root / "student", seed=0)
    write_tiny_adapter(root / "adapter", student)
    lines = [json.dumps({"text": f"text {i}", "label": "ab"[i % 2]}) for i in range(5)]
    (root / "items.jsonl").write_text("\n".join(lines))
    (root / "prompt.txt").write_text("Say a or b.")
    return root


def new_run(models: Path, workspace: Path) -> RunDirectory:
    student = str(models / "student")
    prompt, adapter = str(models / "prompt.txt"), str(models / "adapter")
    variants = (
        VariantSettings(name="Student + prompt", model=student, prompt=prompt, max_answer_tokens=4),
        VariantSettings(name="before", model=student, max_answer_tokens=4),
        VariantSettings(name="after", model=student, adapter=adapter, max_answer_tokens=4),
    )
    settings = EvaluationSettings(
        variants=variants,
        inputs=str(models / "items.jsonl"),
        teacher="Student + prompt",
        batch_size=2,
    )
    return create_run(workspace, EvaluationConfig(evaluation=settings))


def report_of(run: RunDirectory) -> EvaluationReport:
    return EvaluationReport.model_validate_json((run.path / "evaluation/report.json").read_text())


def without_seconds(run: RunDirectory) -> Iterator[object]:
    for name in report_of(run).files:
        for answer in read_predictions(run.path / "evaluation" / name):
            yield answer.model_copy(update={"seconds": 0.0})


def test_every_variant_answers_every_item(models: Path, tmp_path: Path) -> None:
    run = new_run(models, tmp_path)
    evaluate_run(run)
    report = report_of(run)
    assert [variant.name for variant in report.variants] == ["Student + prompt", "before", "after"]
    assert [variant.num_graded for variant in report.variants] == [5, 5, 5]
    assert all(variant.seconds_per_answer > 0 for variant in report.variants)
    assert (report.labels, report.num_items, len(report.comparisons)) == (("a", "b"), 5, 3)
    assert report.variants[0].teacher_agreement is None
    assert report.variants[1].teacher_agreement is not None
    events = list(read_events(run.events_file))
    measured = [event for event in events if isinstance(event, EvaluationFinished)]
    assert [event.step for event in measured] == [1, 2, 3]
    assert all(set(event.metrics) <= set(METRICS) for event in measured)
    shares = {"eval_accuracy", "eval_parse_rate", "eval_truncated_share"}
    assert all(shares <= set(event.intervals) for event in measured)
    bounds = report.variants[0].interval
    assert bounds is not None
    assert measured[0].intervals["eval_accuracy"] == (bounds.low, bounds.high)
    told = [e for e in events if isinstance(e, PhaseChanged) and e.phase == "evaluating"]
    assert len(told) == 15
    assert_as_described(run)
    assert isinstance(events[-1], RunFinished)
    assert run.state() == "finished"
    assert (run.path / "evaluation/confusion.png").read_bytes().startswith(b"\x89PNG")


def test_a_stopped_run_goes_on_with_the_next_item(models: Path, tmp_path: Path) -> None:
    whole, run = new_run(models, tmp_path / "whole"), new_run(models, tmp_path / "stopped")
    evaluate_run(whole)
    stop = StopRequest()

    def stop_in_the_second_variant(event: Event) -> None:
        if isinstance(event, PhaseChanged) and event.detail.startswith("before:"):
            stop.set()

    with pytest.raises(StoppedError):
        evaluate_run(run, stop_in_the_second_variant, stop)
    assert run.state() == "paused"
    (file,) = run.path.glob("evaluation/02_*.jsonl")
    kept = len(read_predictions(file))
    assert 0 < kept < 5
    with file.open("a") as stream:
        stream.write('{"index": 3, "te')
    evaluate_run(run)
    assert list(without_seconds(run)) == list(without_seconds(whole))
