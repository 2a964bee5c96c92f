"""A run knows which content its files had when it began."""

from __future__ import annotations

import hashlib
from pathlib import Path

from backend.history.data_files import data_files_of
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.datasets.file_digests import digest_of_set
from OnPolicyDistill.evaluation.data_files import data_files
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import RunStarted
from OnPolicyDistill.runs.reporting import announce, occupying


def test_the_first_event_of_a_run_has_the_hashes_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(b'{"prompt": "a"}\n')
    files = {"prompts": "train.jsonl", "validation_prompts": "not_there.jsonl"}
    named = {key: str(tmp_path / name) for key, name in files.items()}
    run = create_run(tmp_path / "ws", parse_config({"distillation": named}))
    assert data_files_of(run) == ()
    with occupying(run, None, None) as (reporter, _):
        announce(reporter, run.config(), data_files)
    (found,) = data_files_of(run)
    expected = hashlib.sha256(b'{"prompt": "a"}\n').hexdigest()
    assert (found.key, found.num_bytes, found.sha256) == ("prompts", 16, expected)
    # What it learned from stays known, whatever becomes of the file.
    (tmp_path / "train.jsonl").write_bytes(b"other")
    assert data_files_of(run) == (found,)


def test_a_log_that_does_not_say_it_can_be_read() -> None:
    values = RunStarted.model_json_schema()["properties"]
    assert "files" in values
    assert "files" not in RunStarted.model_json_schema()["required"]


def test_a_set_in_pieces_has_one_hash_of_all_of_them(tmp_path: Path) -> None:
    for number, text in enumerate((b"one\n", b"two\n")):
        (tmp_path / f"train-0000{number}-of-00002.jsonl").write_bytes(text)
    found = digest_of_set(tmp_path / "train")
    assert (found.num_bytes, found.sha256) == (8, hashlib.sha256(b"one\ntwo\n").hexdigest())
