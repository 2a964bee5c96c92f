"""Events reach the disk before the watcher, and a run's end is always said."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.errors import DiskFullError, GpuError, GpuInterruptedError, StoppedError
from OnPolicyDistill.gpu import WATCHED_VARIABLE
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import (
    EVENT,
    Event,
    RolloutRecord,
    RolloutSampled,
    RunFailed,
    RunPaused,
    Warned,
)
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import (
    Reporter,
    StopRequest,
    describe_machine,
    free_disk_gb,
    process_memory_gb,
    reported,
)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path, OnPolicyConfig())


def record(step: int, completion: str = "four") -> RolloutRecord:
    return RolloutRecord(
        step=step,
        index=0,
        source="student",
        prompt="2 + 2 =\n?",
        completion=completion,
        finish_reason="stop",
        token_ids=(4, 1),
        token_texts=("four", ""),
        student_logprobs=(-0.5, -0.1),
        teacher_logprobs=(-0.25, -0.1),
        divergence=(0.3, 0.1),
    )


def test_an_event_is_on_disk_before_the_watcher_hears_of_it(run: RunDirectory) -> None:
    heard: list[Event] = []

    def observe(event: Event) -> None:
        assert list(read_events(run.events_file))[-1] == event
        heard.append(event)

    reporter = Reporter(run, observe)
    with reported(reporter):
        reporter.phase("sampling", "8 prompts", done=0, total=8)
        reporter.finish_step(1, {"loss": 0.5})
        reporter.warn("long", "Long.", "Shorten.")
    assert [event.kind for event in heard] == ["phase_changed", "step_finished", "warning"]
    assert isinstance(heard[-1], Warned)
    assert heard[-1].step == 1


def test_a_rollout_event_points_at_its_line(run: RunDirectory) -> None:
    reporter = Reporter(run)
    with reported(reporter):
        reporter.rollout(record(1))
        reporter.rollout(record(1, "x" * 500))
    first, second = list(read_events(run.events_file))
    assert isinstance(first, RolloutSampled)
    assert isinstance(second, RolloutSampled)
    assert first.prompt == "2 + 2 = ?"
    assert first.mean_divergence == pytest.approx(0.2)
    assert len(second.completion) == 200
    with run.rollouts_file.open("rb") as stream:
        for event, completion in ((first, "four"), (second, "x" * 500)):
            stream.seek(event.offset)
            assert RolloutRecord.model_validate_json(stream.readline()).completion == completion


def test_a_rollout_that_no_teacher_scored_says_so_in_its_event_and_its_line(
    run: RunDirectory,
) -> None:
    reporter = Reporter(run)
    with reported(reporter):
        unscored = record(1).model_copy(update={"divergence": None, "teacher_logprobs": None})
        reporter.rollout(unscored)
    (event,) = read_events(run.events_file)
    assert isinstance(event, RolloutSampled)
    assert event.mean_divergence is None
    assert RolloutRecord.model_validate_json(run.rollouts_file.read_bytes()) == unscored


def test_lines_of_earlier_logs_are_read_as_they_were() -> None:
    line = record(1).model_dump(exclude={"prompt_index"})
    assert RolloutRecord.model_validate(line) == record(1)
    event = {"kind": "rollout_sampled", "step": 1, "offset": 0, "prompt": "p", "completion": "c"}
    read = EVENT.validate_python({**event, "num_tokens": 2, "mean_divergence": 0.25})
    assert isinstance(read, RolloutSampled)
    assert read.mean_divergence == 0.25


def test_torn_lines_of_a_crash_are_cut_off_and_said(run: RunDirectory) -> None:
    reporter = Reporter(run)
    with reported(reporter):
        reporter.rollout(record(1))
    for path in (run.events_file, run.rollouts_file):
        with path.open("ab") as stream:
            stream.write(b'{"torn')
    reporter = Reporter(run)
    with reported(reporter):
        reporter.rollout(record(2))
    _, warning, rollout = list(read_events(run.events_file))
    assert isinstance(warning, Warned)
    assert warning.code == "torn_line_repaired"
    assert "6 bytes of events and 6 bytes of rollouts" in warning.message
    assert isinstance(rollout, RolloutSampled)
    lines = run.rollouts_file.read_bytes().splitlines()
    assert [RolloutRecord.model_validate_json(line).step for line in lines] == [1, 2]


def test_a_run_that_fails_says_why_in_its_log(run: RunDirectory) -> None:
    reporter = Reporter(run)
    reporter.finish_step(3, {})
    with pytest.raises(DiskFullError), reported(reporter):
        raise DiskFullError("Full.", "Free some.")
    last = list(read_events(run.events_file))[-1]
    assert isinstance(last, RunFailed)
    assert (last.step, last.code, last.message, last.action) == (
        3,
        "disk_full",
        "Full.",
        "Free some.",
    )
    assert run.state() == "failed"


def test_a_stopped_run_is_paused_in_its_log(run: RunDirectory) -> None:
    reporter = Reporter(run)
    with pytest.raises(StoppedError), reported(reporter):
        raise StoppedError("You asked.")
    last = list(read_events(run.events_file))[-1]
    assert isinstance(last, RunPaused)
    assert last.reason == "You asked."
    assert run.state() == "paused"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_asks_for_a_stop_and_the_old_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    stop = StopRequest()
    with stop.on_signals():
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
    assert signal.getsignal(number) is before


def test_a_hang_up_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = StopRequest()
        with stop.on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_metal_said_ends_in_the_log_with_cause_and_advice(run: RunDirectory) -> None:
    with pytest.raises(GpuError) as raised, reported(Reporter(run)):
        raise RuntimeError("[metal::malloc] Resource limit (499000) exceeded.")
    assert raised.value.exit_code == 1
    last = list(read_events(run.events_file))[-1]
    assert isinstance(last, RunFailed)
    assert last.code == "gpu_resources"
    assert "lower max_generation_tokens" in last.action


def test_a_failure_that_passes_is_left_to_a_parent_that_tries_again(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "[METAL] Command buffer execution failed: Impacting Interactivity (...)."
    monkeypatch.setenv(WATCHED_VARIABLE, "1")
    with pytest.raises(GpuInterruptedError, match="Impacting Interactivity"):
        fail_with(run, text)
    assert list(read_events(run.events_file)) == []
    monkeypatch.delenv(WATCHED_VARIABLE)
    with pytest.raises(GpuError) as raised:
        fail_with(run, text)
    assert (raised.value.code, run.state()) == ("gpu_watchdog", "failed")


def fail_with(run: RunDirectory, text: str) -> None:
    with reported(Reporter(run)):
        raise RuntimeError(text)


def test_a_second_interrupt_ends_at_once_and_a_second_term_does_not() -> None:
    stop = StopRequest()
    with stop.on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_machine_is_described_without_loading_mlx(tmp_path: Path) -> None:
    machine = describe_machine()
    assert machine.mlx.startswith("0.")
    assert machine.memory_gb > 1
    assert process_memory_gb() > 0
    assert free_disk_gb(tmp_path) > 0
