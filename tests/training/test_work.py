"""A run's work between its beginning and its end, on a loop that learns nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.errors import ConfigError, StoppedError
from OnPolicyDistill.optim.updating import Update
from OnPolicyDistill.runs.checkpoints import last_checkpoint, list_checkpoints, read_state
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event, RunFinished, StepFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import Observer
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.training.work import Work, begun

METRICS = {"loss": 1.0, "num_tokens": 3, "step_seconds": 0.5}
TAKEN = Update(grad_norm=1.0, learning_rate=0.1, was_taken=True)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    settings = SftSettings(num_steps=4, checkpoint_every=10, checkpoint_minutes=0)
    return create_run(tmp_path, SftConfig(sft=settings))


def settings_of(work: Work) -> SftSettings:
    assert isinstance(work.settings, SftSettings)
    return work.settings


def save(folder: Path) -> None:
    (folder / "arrays").write_text("")


def train(
    run: RunDirectory,
    observer: Observer | None = None,
    stop_in: int = 0,
    checkpoint: Path | None = None,
    stop_behind: bool = False,
) -> list[int]:
    """A trainer whose steps do nothing but stop where a test wants it."""
    taken = []
    with begun(run, observer, None, checkpoint) as work:
        for step in work.steps(settings_of(work), evaluate=lambda: "waiting", save=save):
            if step == stop_in:
                raise StoppedError("The run was stopped.", "")
            work.report(step, METRICS, TAKEN)
            taken.append(step)
        if stop_behind:
            raise StoppedError("The run was stopped.", "")
        work.finish({"answers": 7.0})
    return taken


def ends(run: RunDirectory) -> list[RunFinished]:
    return [event for event in read_events(run.events_file) if isinstance(event, RunFinished)]


def test_a_loop_takes_each_step_once_and_its_end_has_the_figures(run: RunDirectory) -> None:
    assert train(run) == [1, 2, 3, 4]
    (end,) = ends(run)
    assert (end.step, end.because, end.report["answers"]) == (4, "completed", 7.0)
    assert end.report["trained_tokens"] == 12
    state = read_state(run.checkpoints / "last")
    assert (state.step, state.num_tokens, state.train_seconds) == (4, 12, 2.0)


def test_a_stop_within_a_step_saves_the_step_before_it(run: RunDirectory) -> None:
    with pytest.raises(StoppedError):
        train(run, stop_in=3)
    assert [path.name for path in list_checkpoints(run)] == ["000002"]
    assert run.state() == "paused"
    assert train(run, checkpoint=last_checkpoint(run)) == [3, 4]


def test_a_stop_that_shall_finish_ends_the_loop_and_what_follows_it(run: RunDirectory) -> None:
    def finish(event: Event) -> None:
        if isinstance(event, StepFinished):
            run.control_file.write_text('{"action": "finish"}')

    assert train(run, finish, stop_in=3) == [1, 2]
    (end,) = ends(run)
    assert (end.step, end.because) == (2, "stopped")
    assert "answers" not in end.report


def test_a_stop_behind_the_last_step_is_resumed_behind_it(run: RunDirectory) -> None:
    with pytest.raises(StoppedError):
        train(run, stop_behind=True)
    assert ends(run) == []
    assert [path.name for path in list_checkpoints(run)] == ["000004"]
    assert train(run, checkpoint=last_checkpoint(run)) == []
    assert [end.because for end in ends(run)] == ["completed"]


def test_a_step_that_is_not_reported_is_a_mistake_of_the_trainer(run: RunDirectory) -> None:
    with begun(run) as work:
        steps = work.steps(settings_of(work), evaluate=lambda: "waiting", save=save)
        assert next(steps) == 1
        with pytest.raises(AssertionError, match="every step is reported"):
            next(steps)


def test_a_plateau_ends_the_loop(run: RunDirectory) -> None:
    with begun(run) as work:
        for step in work.steps(settings_of(work), evaluate=lambda: "plateau", save=save):
            work.report(step, METRICS, TAKEN)
        work.finish()
    assert [(end.step, end.because) for end in ends(run)] == [(0, "plateau")]


def test_a_left_out_step_warns_and_its_numbers_that_are_none_are_no_metrics(
    run: RunDirectory,
) -> None:
    with begun(run) as work:
        for step in work.steps(settings_of(work), evaluate=lambda: "waiting", save=save):
            bad = Update(grad_norm=float("nan"), learning_rate=0.1, was_taken=False)
            written = work.report(step, {**METRICS, "loss": float("inf")}, bad)
            assert {"loss", "grad_norm"}.isdisjoint(written)
            assert written["learning_rate"] == 0.1
        work.finish()
    events = list(read_events(run.events_file))
    kinds = [event.kind for event in events if event.kind in ("step_finished", "warning")]
    assert kinds == ["step_finished", "warning"] * 4


def test_the_config_is_read_once(run: RunDirectory) -> None:
    def garble(event: Event) -> None:
        if event.kind == "run_started":
            run.config_file.write_text("method: [")

    assert train(run, garble) == [1, 2, 3, 4]
    with pytest.raises(ConfigError):
        run.config()
