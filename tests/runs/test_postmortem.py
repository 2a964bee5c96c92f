"""A post-mortem is read back as it was written, and a damaged one is none."""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.postmortem import (
    POSTMORTEM_FILE,
    PostMortem,
    read_postmortem,
    write_postmortem,
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    run = create_run(tmp_path, OnPolicyConfig())
    assert read_postmortem(run) is None
    postmortem = PostMortem(
        time=1.5,
        after_seq=41,
        cause="memory",
        signal="SIGKILL",
        step=412,
        resume_from=400,
        message="It was stopped for memory at step 412.",
        action="Resume from step 400.",
        log_tail=("one", "two"),
    )
    write_postmortem(run, postmortem)
    assert read_postmortem(run) == postmortem


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    run = create_run(tmp_path, OnPolicyConfig())
    (run.path / POSTMORTEM_FILE).write_text('{"cause": "bad luck"}')
    assert read_postmortem(run) is None
