"""A checkpoint is whole or not there, whatever interrupts it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.errors import DiskFullError, RunError
from OnPolicyDistill.runs.checkpoints import (
    TrainingState,
    directory_bytes,
    discard_checkpoints_after,
    last_checkpoint,
    list_checkpoints,
    point,
    pointed,
    prune_checkpoints,
    read_state,
    save_checkpoint,
)
from OnPolicyDistill.runs.directory import RunDirectory, create_run


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path, OnPolicyConfig())


def state(step: int) -> TrainingState:
    return TrainingState(
        step=step, config_hash="abc", seed=0, data_cursor=step * 8, num_tokens=step * 100
    )


def write_adapter(folder: Path) -> None:
    (folder / "adapters.safetensors").write_bytes(b"weights")


def steps(run: RunDirectory) -> list[int]:
    return [int(path.name) for path in list_checkpoints(run)]


def test_a_state_that_calls_the_leading_evaluation_the_lowest_is_still_read(
    run: RunDirectory,
) -> None:
    saved = save_checkpoint(run, state(100), write_adapter)
    written = json.loads((saved / "state.json").read_text())
    del written["leading_step"], written["leading_metric"]
    earlier = {**written, "lowest_step": 50, "lowest_metric": 0.25}
    (saved / "state.json").write_text(json.dumps(earlier))
    assert read_state(saved) == state(100).model_copy(
        update={"leading_step": 50, "leading_metric": 0.25}
    )


def test_a_saved_checkpoint_reads_back_and_is_the_last(run: RunDirectory) -> None:
    saved = save_checkpoint(run, state(100), write_adapter)
    assert saved.name == "000100"
    assert read_state(saved) == state(100)
    assert (saved / "adapters.safetensors").read_bytes() == b"weights"
    assert last_checkpoint(run) == saved
    assert pointed(run, "last") == saved.resolve()
    assert pointed(run, "best") is None
    assert directory_bytes(saved) == sum(file.stat().st_size for file in saved.iterdir())


def test_a_run_without_checkpoints_has_none(tmp_path: Path, run: RunDirectory) -> None:
    assert last_checkpoint(run) is None
    assert list_checkpoints(RunDirectory(tmp_path / "absent")) == []


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError),
        (RuntimeError("[write] Unable to write 2951520 bytes to file."), DiskFullError),
        (RuntimeError("something else"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_checkpoint_that_fails_half_way_leaves_the_last_one_and_no_trace(
    run: RunDirectory,
    error: BaseException,
    raised: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = save_checkpoint(run, state(100), write_adapter)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))

    def fail(folder: Path) -> None:
        write_adapter(folder)
        raise error

    with pytest.raises(raised):
        save_checkpoint(run, state(200), fail)
    assert last_checkpoint(run) == first
    assert pointed(run, "last") == first.resolve()
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["000100", "last"]


def test_a_disk_is_called_full_only_where_it_is(run: RunDirectory) -> None:
    def fail(_folder: Path) -> None:
        raise RuntimeError("[write] Unable to write 10 bytes to file.")

    with pytest.raises(OSError, match="Unable to write") as told:
        save_checkpoint(run, state(200), fail)
    assert told.value.errno == errno.EIO


def test_a_process_killed_while_saving_leaves_the_last_checkpoint(run: RunDirectory) -> None:
    program = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from OnPolicyDistill.runs.checkpoints import TrainingState, save_checkpoint\n"
        "from OnPolicyDistill.runs.directory import RunDirectory\n"
        "def state(step):\n"
        "    return TrainingState(\n"
        "        step=step, config_hash='a', seed=0, data_cursor=0, num_tokens=0)\n"
        "def die(folder):\n"
        "    (folder / 'adapters.safetensors').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "run = RunDirectory(Path(sys.argv[1]))\n"
        "save_checkpoint(run, state(100), lambda folder: None)\n"
        "save_checkpoint(run, state(200), die)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(run.path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert steps(run) == [100]
    assert pointed(run, "last") == (run.checkpoints / "000100").resolve()
    save_checkpoint(run, state(150), write_adapter)
    assert steps(run) == [100, 150]
    assert not list(run.checkpoints.glob(".*.partial"))


def test_the_same_step_can_be_saved_again(run: RunDirectory) -> None:
    save_checkpoint(run, state(100), lambda folder: None)
    save_checkpoint(run, state(100), write_adapter)
    assert steps(run) == [100]
    assert (run.checkpoints / "000100" / "adapters.safetensors").is_file()


def test_a_pointer_moves_in_one_step_and_survives_moving_the_run(
    run: RunDirectory, tmp_path: Path
) -> None:
    first = save_checkpoint(run, state(1), write_adapter)
    point(run, "best", first)
    second = save_checkpoint(run, state(2), write_adapter)
    point(run, "best", second)
    assert (run.checkpoints / "best").readlink() == Path("000002")
    moved = RunDirectory(tmp_path / "moved")
    run.path.rename(moved.path)
    assert pointed(moved, "best") == (moved.checkpoints / "000002").resolve()


def test_a_pointer_to_a_removed_checkpoint_points_nowhere(run: RunDirectory) -> None:
    point(run, "best", run.checkpoints / "000009")
    assert pointed(run, "best") is None


def test_pruning_keeps_the_newest_and_the_best(run: RunDirectory) -> None:
    for step in (1, 2, 3, 4, 5):
        saved = save_checkpoint(run, state(step), write_adapter)
        if step == 2:
            point(run, "best", saved)
    prune_checkpoints(run, keep=2)
    assert steps(run) == [2, 4, 5]


def test_what_was_written_off_schedule_never_pushes_one_out(run: RunDirectory) -> None:
    for step in (10, 13, 16, 20, 23, 26, 30, 34, 37):
        save_checkpoint(run, state(step), write_adapter)
        prune_checkpoints(run, keep=2, is_scheduled=lambda step: step % 10 == 0)
    assert steps(run) == [20, 30, 37]


def test_checkpoints_are_ordered_by_step_beyond_six_digits(run: RunDirectory) -> None:
    for step in (999_999, 1_000_000):
        save_checkpoint(run, state(step), write_adapter)
    assert steps(run) == [999_999, 1_000_000]
    prune_checkpoints(run, keep=1)
    assert steps(run) == [1_000_000]


def test_checkpoints_of_undone_steps_are_removed(run: RunDirectory) -> None:
    for step in (1, 2, 3):
        save_checkpoint(run, state(step), write_adapter)
    discard_checkpoints_after(run, 1)
    assert steps(run) == [1]


def test_a_folder_without_a_state_is_no_checkpoint(run: RunDirectory) -> None:
    (run.checkpoints / "000007").mkdir()
    (run.checkpoints / "notes").mkdir()
    assert steps(run) == []


@pytest.mark.parametrize("text", [None, "", "{", '{"step": 1}', '{"step": 1, "other": 2}'])
def test_a_damaged_state_is_an_error_that_offers_an_earlier_one(
    run: RunDirectory, text: str | None
) -> None:
    saved = save_checkpoint(run, state(1), write_adapter)
    file = saved / "state.json"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(RunError, match="Resume from an earlier one with --from"):
        read_state(saved)


def test_everything_in_a_checkpoint_is_durable_before_it_gets_its_name(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    sync = os.fsync

    def record(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    final = run.checkpoints / "000001"
    rename = Path.rename

    def rename_synced(self: Path, target: Path) -> Path:
        assert not final.exists()
        assert {path.stat().st_ino for path in (self, *self.iterdir())} <= synced
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(Path, "rename", rename_synced)
    save_checkpoint(run, state(1), write_adapter)
    assert final.is_dir()
