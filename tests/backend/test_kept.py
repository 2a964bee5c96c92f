"""What is kept of a log: read again it says what the log says, and a changed log is read anew."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from backend.charts import marks_of, metric_history
from backend.history.digest import Digest
from backend.history.index import RunIndex
from backend.history.runlog import KEPT_FOLDER, RunLog, RunLogs
from backend.settings import BackendSettings
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import RunResumed, StepFinished, Warned
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.runs.reporting import describe_machine
from tests.backend.conftest import MakeRun

NUM_STEPS = 3000


@pytest.fixture
def run(make_run: MakeRun) -> RunDirectory:
    return make_run(steps=NUM_STEPS)


def kept_file(run: RunDirectory) -> Path:
    return run.path.parent.parent / KEPT_FOLDER / f"{run.run_id}.digest"


def opened(run: RunDirectory) -> RunLog:
    return RunLogs(kept_file(run).parent).of(run)


def read_anew(run: RunDirectory) -> RunLog:
    log = RunLog(run)
    log.catch_up()
    return log


def kept(run: RunDirectory) -> RunDirectory:
    opened(run).keep(is_at_work=False)
    assert kept_file(run).stat().st_size > 50_000
    return run


def said(log: RunLog) -> tuple[object, ...]:
    """All that charts and lists ask of a log."""
    charts = {
        (key, px): metric_history(log, key, 7, None, px)
        for key in ("loss", "num_tokens", "eval_reverse_kl")
        for px in (5, 300)
    }
    facts = log.look(lambda digest: asdict(digest.facts))
    return charts, facts, marks_of(log), log.lines.ends(), log.read(1234, 2)


def reads_nothing_again(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a log is opened without parsing one of its lines."""
    lines: list[bytes] = []
    with monkeypatch.context() as patch:
        patch.setattr(Digest, "feed", lambda _self, line: lines.append(line))
        opened(run)
    return not lines


def add_to(run: RunDirectory) -> None:
    with EventWriter(run.events_file) as writer:
        writer.write(Warned(step=NUM_STEPS, code="w", message="careful", action="look"))
        writer.write(RunResumed(step=100, machine=describe_machine()))
        writer.write(StepFinished(step=101, metrics={"loss": 9.0, "num_tokens": 1.0}))


def test_a_kept_log_says_the_same_and_is_not_read_again(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(opened(kept(run))) == said(read_anew(run))
    assert reads_nothing_again(run, monkeypatch)


def test_a_kept_log_goes_on_where_it_stopped(run: RunDirectory) -> None:
    add_to(kept(run))
    log = opened(run)
    assert said(log) == said(read_anew(run))
    assert log.look(lambda digest: digest.series["loss"].values[-1]) == 9.0
    log.keep(is_at_work=False)
    assert said(opened(run)) == said(read_anew(run))


def test_a_log_that_was_edited_in_place_is_read_anew(run: RunDirectory) -> None:
    before = run.events_file.read_bytes()
    kept(run)
    edited = before.replace(b'"loss":0.0625,', b'"loss":7.0625,', 1)
    assert (len(edited), edited == before) == (len(before), False)
    run.events_file.write_bytes(edited)
    os.utime(run.events_file, (1, 1))
    assert opened(run).look(lambda digest: digest.series["loss"].values.max()) == 7.0625


@pytest.mark.parametrize("keep", [0, 8, 5000, -8])
def test_half_a_kept_file_is_no_reason_to_fail(run: RunDirectory, keep: int) -> None:
    content = kept_file(kept(run)).read_bytes()
    kept_file(run).write_bytes(content[:keep])
    assert said(opened(run)) == said(read_anew(run))


def test_a_shorter_log_is_read_anew(run: RunDirectory) -> None:
    kept(run)
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    run.events_file.write_bytes(b"".join(lines[:2000]))
    assert opened(run).catch_up() == 2000


def test_a_log_at_work_is_kept_again_only_after_it_grew_a_lot(run: RunDirectory) -> None:
    log = opened(kept(run))
    written = kept_file(run).stat().st_mtime_ns
    add_to(run)
    log.catch_up()
    log.keep(is_at_work=True)
    assert kept_file(run).stat().st_mtime_ns == written
    log.keep(is_at_work=False)
    assert kept_file(run).stat().st_mtime_ns != written


def test_a_full_disk_costs_only_time(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    kept_file(run).parent.write_text("in the way")
    log = RunLog(run, kept_file(run))
    log.catch_up()
    log.keep(is_at_work=False)
    assert "was not kept" in caplog.text


def test_a_rebuild_reads_the_logs_and_a_deleted_run_is_forgotten(
    run: RunDirectory, settings: BackendSettings
) -> None:
    index = RunIndex(settings.workspace, RunLogs(kept_file(run).parent))
    index.refresh(run)
    first = index.contents()
    content = kept_file(run).read_bytes()
    kept_file(run).write_bytes(content[:-8] + b"\0" * 8)
    index.logs = RunLogs(kept_file(run).parent)
    index.refresh(run)
    assert index.contents() != first
    assert index.rebuild() == 1
    assert index.contents() == first
    run.path.rename(settings.workspace / "gone")
    index.reconcile()
    assert not kept_file(run).exists()
    index.engine.dispose()
