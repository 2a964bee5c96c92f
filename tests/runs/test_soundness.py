"""A run that could not be taken up to its end is refused before anything is loaded or written."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.errors import ConfigError, DistillError, RunError
from OnPolicyDistill.runs.checkpoints import TrainingState, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import RunPaused, StepFinished
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.runs.soundness import check_folder, check_resumable


def write_arrays(folder: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    data = struct.pack("<Q", len(header)) + header + b"\0" * 16
    (folder / "adapters.safetensors").write_bytes(data)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = create_run(tmp_path, OnPolicyConfig())
    with EventWriter(made.events_file) as writer:
        for step in range(1, 5):
            writer.write(StepFinished(step=step, metrics={"loss": 1.0}))
        writer.write(RunPaused(step=4))
    for step in (2, 4):
        state = TrainingState(step=step, config_hash="x", seed=0, data_cursor=0, num_tokens=0)
        save_checkpoint(made, state, write_arrays)
    return made


def test_a_sound_run_is_taken_up_and_so_is_one_with_a_torn_last_line(run: RunDirectory) -> None:
    check_resumable(run, run.checkpoints / "000004")
    with run.events_file.open("ab") as stream:
        stream.write(b'{"seq": 5, "ti')
    check_resumable(run, run.checkpoints / "000004")
    check_resumable(run, None)


def in_the_middle(run: RunDirectory) -> None:
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    run.events_file.write_bytes(b"".join([*lines[:2], b"\0" * 40 + b"\n", *lines[3:]]))


def linked(run: RunDirectory) -> None:
    (run.path / "generated").symlink_to("/")


def cut(run: RunDirectory) -> None:
    os.truncate(run.checkpoints / "000004" / "adapters.safetensors", 30)


def cut_by_a_byte(run: RunDirectory) -> None:
    file = run.checkpoints / "000004" / "adapters.safetensors"
    os.truncate(file, file.stat().st_size - 1)


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (in_the_middle, RunError, "damaged line"),
        (lambda run: run.config_file.unlink(), ConfigError, "There is no"),
        (cut, RunError, "cut short.* --from 000002"),
        (cut_by_a_byte, RunError, "cut short.* --from 000002"),
        (linked, RunError, "generated is a link"),
        (lambda run: os.mkfifo(run.path / "completions.jsonl"), RunError, "is a pipe"),
        (lambda run: run.log_file.symlink_to("/dev/null"), RunError, "log.txt is a link"),
    ],
)
def test_a_damaged_run_is_refused_with_the_reason(
    run: RunDirectory,
    damage: Callable[[RunDirectory], None],
    error: type[DistillError],
    words: str,
) -> None:
    damage(run)
    before = sorted(run.path.rglob("*"))
    with pytest.raises(error, match=words):
        check_resumable(run, run.checkpoints / "000004")
    assert sorted(run.path.rglob("*")) == before


def test_the_links_to_the_best_and_the_last_checkpoint_are_its_own(run: RunDirectory) -> None:
    check_folder(run)
    (run.checkpoints / "best").symlink_to("000002")
    check_folder(run)
