"""The user's words about a run survive, and damage is never written over."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.runs.annotations import (
    ANNOTATIONS_FILE,
    Annotations,
    read_annotations,
    write_annotations,
)
from OnPolicyDistill.runs.directory import create_run


def test_a_run_nobody_touched_has_plain_annotations(tmp_path: Path) -> None:
    assert read_annotations(create_run(tmp_path, OnPolicyConfig())) == Annotations()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    run = create_run(tmp_path, OnPolicyConfig())
    words = Annotations(name="Größer", tags=("a", "b"), note="line\nline", favourite=True)
    write_annotations(run, words)
    assert read_annotations(run) == words


def test_a_tag_counts_once_and_in_the_order_given() -> None:
    assert Annotations(tags=("b", "a", "b")).tags == ("b", "a")


@pytest.mark.parametrize("tag", ["", "two words", "a,b", "x" * 41])
def test_tags_that_could_not_be_filtered_by_are_refused(tag: str) -> None:
    with pytest.raises(ValidationError):
        Annotations(tags=(tag,))


@pytest.mark.parametrize("content", ["", "{", '{"stars": 5}', '{"favourite": "maybe"}'])
def test_a_damaged_file_is_named_and_kept(tmp_path: Path, content: str) -> None:
    run = create_run(tmp_path, OnPolicyConfig())
    file = run.path / ANNOTATIONS_FILE
    file.write_text(content)
    with pytest.raises(RunError, match=ANNOTATIONS_FILE):
        read_annotations(run)
    assert file.read_text() == content
