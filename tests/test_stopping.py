"""A stop is asked about between the pieces of everything long; counted, not timed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.generation import prefill
from OnPolicyDistill.generation.prefill import read_prefix
from OnPolicyDistill.models import loading
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import encode_prompt
from OnPolicyDistill.runs.checkpoints import last_checkpoint, list_checkpoints
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.stopping import check_stop, stoppable
from OnPolicyDistill.trainers.on_policy import train
from tests.trainers.conftest import Classroom, classroom, school

__all__ = ["classroom", "school"]


class Asked:
    """Counts how often it is asked, and says stop from one time on."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.times = 0
        self._stop_at = stop_at

    def __call__(self) -> bool:
        self.times += 1
        return self._stop_at is not None and self.times >= self._stop_at


def times_asked(work: Callable[[], object]) -> int:
    asked = Asked()
    with stoppable(asked):
        work()
    return asked.times


def test_nobody_is_asked_outside_and_the_one_before_comes_back() -> None:
    check_stop()
    outer = Asked()
    with stoppable(outer):
        with stoppable(Asked(stop_at=1)), pytest.raises(StoppedError):
            check_stop()
        check_stop()
    assert outer.times == 1
    check_stop()


def test_loading_asks_for_every_piece_of_the_weights(
    school: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = times_asked(lambda: load_policy(str(school / "student")))
    monkeypatch.setattr(loading, "BYTES_AT_ONCE", 1)
    piecewise = times_asked(lambda: load_policy(str(school / "student")))
    assert piecewise > whole + 20  # two layers of twelve weights each


def test_reading_a_long_prompt_asks_for_every_chunk(
    school: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load_policy(str(school / "student"))
    prompts = [[5] * 100 + [end] for end in (6, 7)]
    monkeypatch.setattr(prefill, "PREFILL_TOKENS", 10)
    assert times_asked(lambda: read_prefix(policy.model, prompts)) == 10


def test_every_prompt_that_is_encoded_asks(school: Path) -> None:
    policy = load_policy(str(school / "student"))
    message = {"role": "user", "content": "half past"}
    assert times_asked(lambda: [encode_prompt(policy, [message]) for _ in range(7)]) == 7


class StopsLater(StopRequest):
    """A stop that comes after the request was looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= 1
        self.is_set = self.is_set or self.looks < 0
        return self.is_set


def looks_of(run: RunDirectory) -> int:
    stop = StopsLater(10**9)
    train(run, stop=stop)
    return 10**9 - stop.looks


def test_a_run_is_stopped_wherever_it_is_and_ends_with_the_same_bytes(
    classroom: Classroom,
) -> None:
    settings = {"num_steps": 4, "gradient_accumulation_steps": 2, "batch_size": 2}
    whole, broken = classroom.create(**settings), classroom.create(**settings)
    total = looks_of(whole)
    for looks in (total // 50, total // 2, total // 3, total // 3):
        checkpoint, stop = last_checkpoint(broken), StopsLater(looks)
        with pytest.raises(StoppedError):
            train(broken, stop=stop, checkpoint=checkpoint)
        assert broken.state() == "paused"
    train(broken, checkpoint=list_checkpoints(broken)[-1])
    for name in ("adapters.safetensors", "optimizer.safetensors"):
        ends = [(list_checkpoints(run)[-1] / name).read_bytes() for run in (whole, broken)]
        assert ends[0] == ends[1]


def test_more_micro_batches_mean_more_looks_for_a_stop(classroom: Classroom) -> None:
    plain = {"num_steps": 3, "eval_every": 100, "max_generation_tokens": 4}
    few = looks_of(classroom.create(**plain, batch_size=8, gradient_accumulation_steps=1))
    many = looks_of(classroom.create(**plain, batch_size=1, gradient_accumulation_steps=8))
    # Two looks a micro-batch and one where the teacher scores it.
    assert many - few >= 3 * 3 * 7
