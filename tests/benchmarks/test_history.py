"""The benchmark of the index measures what it says; no question goes through all values twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from backend.history.index import RunIndex
from backend.history.query import RunQuery, find_runs
from backend.history.runlog import RunLogs
from benchmarks.history import QUESTIONS, Timing, measure, write_runs


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunIndex]:
    workspace = tmp_path_factory.mktemp("history")
    write_runs(workspace, 60)
    made = RunIndex(workspace, RunLogs())
    made.rebuild()
    yield made
    made.engine.dispose()


def test_every_question_is_timed_and_judged(tmp_path: Path) -> None:
    timings = measure(20, tmp_path)
    assert {timing.name for timing in timings} > QUESTIONS.keys()
    assert all(timing.seconds > 0 for timing in timings)
    assert not Timing("x", 0.2, 0.1).holds


def test_filters_find_what_a_look_at_each_run_finds(index: RunIndex) -> None:
    everything = find_runs(index, RunQuery(limit=500, columns=("distillation.learning_rate",)))
    rates = {run.run_id: run.columns["distillation.learning_rate"] for run in everything.runs}
    below = {run_id for run_id, rate in rates.items() if float(str(rate)) < 0.0005}
    found = find_runs(index, RunQuery(limit=500, filters=("distillation.learning_rate<0.0005",)))
    assert {run.run_id for run in found.runs} == below
    assert 0 < len(below) < 60
    others = find_runs(index, RunQuery(limit=500, filters=("distillation.lora.rank!=16",)))
    same = find_runs(index, RunQuery(limit=500, filters=("distillation.lora.rank=16",)))
    assert len(others.runs) + len(same.runs) == 60


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_goes_through_all_values_for_each_run(index: RunIndex, name: str) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(
        _connection: object, _cursor: object, statement: str, values: object, *_: object
    ) -> None:
        asked.append((statement, values))

    event.listen(index.engine, "before_cursor_execute", note)
    find_runs(index, QUESTIONS[name])
    event.remove(index.engine, "before_cursor_execute", note)
    with index.engine.connect() as connection:
        for statement, values in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            steps = [str(row[3]) for row in plan]
            assert not any("CORRELATED" in step and "SCALAR" in step for step in steps), steps
            assert not any(step.startswith("SCAN run_values") for step in steps), steps
