"""Leaks are refused in the terminal, and what its error says to type makes them go away."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


@pytest.fixture
def leaky(pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty prompts, of which the held-out file, written otherwise, has twenty."""
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps({"prompt": f"what is {n} + 1"}) for n in range(30)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    (tmp_path / "held.jsonl").write_text("\n".join(lines[10:]).upper().replace("PROMPT", "prompt"))
    return pair / "config.yaml"


def test_a_leak_is_refused_and_the_command_in_its_error_mends_it(
    opd: Opd, leaky: Path, tmp_path: Path
) -> None:
    files = ("--prompts", "train.jsonl", "--validation", "held.jsonl")
    refused = opd("train", str(leaky), *files, "--workspace", str(tmp_path / "ws"))
    assert refused.exit_code == 2
    assert "20 of 20 held-out prompts are trained on as well." in refused.err
    assert not (tmp_path / "ws").exists()
    command = refused.err.partition("Take them out of training: ")[2].partition(";")[0]
    done = opd(*shlex.split(command)[1:])
    assert (done.exit_code, done.out) == (0, "")
    assert "Took 20 lines out; wrote the other 10 to train-apart.jsonl." in done.err
    mended = opd("check", str(leaky), "--prompts", "train-apart.jsonl", *files[2:])
    assert mended.exit_code == 0
    assert "trained on as well" not in mended.out


def test_a_tenth_is_split_off_and_counted(opd: Opd, leaky: Path, tmp_path: Path) -> None:
    del leaky
    done = opd("data", "split", "train.jsonl", "a.jsonl", "b.jsonl", "--seed", "3", "--json")
    assert done.json() == {"training": 27, "held_out": 3, "taken_out": 0}
    again = opd("data", "split", "train.jsonl", "a.jsonl", "b.jsonl")
    assert again.exit_code == 2
    assert "a.jsonl is there already" in again.err


def test_one_file_named_twice_is_compared_with_itself(opd: Opd, leaky: Path) -> None:
    del leaky
    outcome = opd("check", "--prompts", "train.jsonl", "--validation", "train.jsonl")
    assert outcome.exit_code == 2
    assert "30 of 30 prompts are in the other set too" in outcome.out
