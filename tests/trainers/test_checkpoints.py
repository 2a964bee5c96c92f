"""Checkpoints by the clock: written in time, kept sensibly, and without influence on what is
learned."""

from __future__ import annotations

from itertools import count

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.checkpoints import TrainingState, last_checkpoint, list_checkpoints
from OnPolicyDistill.runs.directory import RunDirectory, config_hash
from OnPolicyDistill.runs.events import CheckpointSaved, Event, StepFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.trainers.on_policy import train
from OnPolicyDistill.training.between_steps import is_checkpoint_due
from tests.trainers.conftest import Classroom

ARRAYS = ("adapters.safetensors", "optimizer.safetensors")
SETTINGS = {"num_steps": 5, "checkpoint_every": 100, "eval_every": 100}


@pytest.fixture
def four_minutes_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is read once a step and once a checkpoint, and goes on by four minutes."""
    minutes = count(0, 4)
    monkeypatch.setattr("OnPolicyDistill.training.work.monotonic", lambda: 60.0 * next(minutes))


def unplugged_at_step_4(event: Event) -> None:
    if isinstance(event, StepFinished) and event.step == 4:
        raise OSError("unplugged")


def saved_steps(run: RunDirectory) -> list[int]:
    return [e.step for e in read_events(run.events_file) if isinstance(e, CheckpointSaved)]


def arrays_of(run: RunDirectory) -> list[bytes]:
    last = last_checkpoint(run)
    assert last is not None
    return [(last / name).read_bytes() for name in ARRAYS]


@pytest.mark.usefixtures("four_minutes_a_look")
def test_the_clock_writes_checkpoints_and_changes_nothing_that_is_learned(
    classroom: Classroom,
) -> None:
    timed = classroom.create(**SETTINGS, checkpoint_minutes=8)
    untimed = classroom.create(**SETTINGS, checkpoint_minutes=0)
    train(timed)
    train(untimed)
    # Looks come before step 1 and after each step: 4, 8, 12, ... minutes since the last one.
    assert (saved_steps(timed), saved_steps(untimed)) == ([1, 3, 5], [5])
    assert [path.name for path in list_checkpoints(timed)] == ["000005"]
    assert arrays_of(timed) == arrays_of(untimed)


@pytest.mark.usefixtures("four_minutes_a_look")
def test_a_resume_from_a_checkpoint_of_the_clock_ends_with_the_same_bytes(
    classroom: Classroom,
) -> None:
    whole = classroom.create(**SETTINGS, checkpoint_minutes=0)
    broken = classroom.create(**SETTINGS, checkpoint_minutes=8)
    train(whole)
    with pytest.raises(OSError, match="unplugged"):
        train(broken, unplugged_at_step_4)
    last = last_checkpoint(broken)
    assert last is not None
    assert last.name == "000003"
    train(broken, checkpoint=last)
    assert arrays_of(broken) == arrays_of(whole)


@pytest.mark.parametrize(
    ("minutes", "passed", "is_due"),
    [(10, 9.9, False), (10, 10.0, True), (0, 1e6, False), (0.5, 0.5, True)],
)
def test_a_checkpoint_is_due_once_its_minutes_have_passed(
    minutes: float, passed: float, is_due: bool
) -> None:
    settings = OptimizerSettings(checkpoint_minutes=minutes)
    at_start = TrainingState(step=0, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
    later = at_start.model_copy(update={"step": 7})
    assert is_checkpoint_due(settings, later, "waiting", passed) is is_due
    assert not is_checkpoint_due(settings, at_start, "waiting", 1e9)


def test_the_clock_may_be_set_anew_before_a_resume() -> None:
    often, never = (
        parse_config({"distillation": {"checkpoint_minutes": minutes}}) for minutes in (1, 0)
    )
    other = parse_config({"distillation": {"checkpoint_every": 7}})
    assert config_hash(often) == config_hash(never) != config_hash(other)
