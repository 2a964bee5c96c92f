"""A run is called by its name wherever it has one."""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.config import OnPolicyConfig, parse_config
from OnPolicyDistill.runs.annotations import ANNOTATIONS_FILE, Annotations, write_annotations
from OnPolicyDistill.runs.called import called, name_of
from OnPolicyDistill.runs.directory import create_run


def test_a_run_that_nobody_named_is_called_by_its_id(tmp_path: Path) -> None:
    run = create_run(tmp_path, OnPolicyConfig())
    assert (name_of(run), called(run)) == ("", run.run_id)


def test_a_name_given_later_stands_before_that_of_the_settings(tmp_path: Path) -> None:
    run = create_run(tmp_path, parse_config({"distillation": {"run_name": "first"}}))
    assert called(run) == "“first”"
    write_annotations(run, Annotations(name="dates again"))
    assert called(run) == "“dates again”"


def test_a_run_whose_name_cannot_be_read_is_called_by_its_id(tmp_path: Path) -> None:
    run = create_run(tmp_path, parse_config({"distillation": {"run_name": "first"}}))
    (run.path / ANNOTATIONS_FILE).write_text("{", encoding="utf-8")
    assert called(run) == run.run_id
    (run.path / ANNOTATIONS_FILE).unlink()
    run.config_file.write_text("[", encoding="utf-8")
    assert called(run) == run.run_id
