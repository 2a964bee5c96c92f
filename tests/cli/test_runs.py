"""Listing, showing, reporting, watching and deleting runs."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from OnPolicyDistill.cli.run_lines import typed
from OnPolicyDistill.config import OnPolicyConfig, SftConfig
from OnPolicyDistill.runs.annotations import Annotations, write_annotations
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import EvaluationFinished, RunFinished, StepFinished
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.settings.distillation import DistillationSettings

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


@pytest.fixture
def run(workspace: Path) -> RunDirectory:
    settings = DistillationSettings(num_steps=3, run_name="a [b] name")
    run = create_run(workspace, OnPolicyConfig(distillation=settings))
    with EventWriter(run.events_file) as writer:
        writer.write(EvaluationFinished(step=0, metrics={"eval_reverse_kl": 2.0}))
        for step in (1, 2, 3):
            writer.write(StepFinished(step=step, metrics={"loss": 1.0 / step}))
        writer.write(RunFinished(step=3, because="completed", report={}))
    return run


def test_an_empty_workspace_says_what_to_do(opd: Opd) -> None:
    outcome = opd("runs")
    assert outcome.exit_code == 0
    assert "Start one with: opd train" in outcome.err
    assert opd("runs", "--json").json() == []


def test_runs_are_listed_as_text_and_as_json(opd: Opd, run: RunDirectory) -> None:
    header, line = opd("runs").out.splitlines()
    assert header.split() == ["run", "state", "steps", "held", "out", "models", "id"]
    assert line.split()[:5] == ["a", "[b]", "name", "finished", "3/3"]
    assert line.endswith(run.run_id)
    assert "reverse KL 2.0000" in line
    expected = {
        "run_id": run.run_id,
        "state": "finished",
        "method": "on_policy",
        "name": "a [b] name",
        "models": "qwen2.5-7b learns from qwen2.5-32b",
        "step": 3,
        "num_steps": 3,
        "path": str(run.path),
        "problem": "",
        "after": {"step": 0, "metrics": {"eval_reverse_kl": 2.0}, "intervals": {}},
    }
    assert opd("runs", "--json").json() == [expected]
    assert opd("runs", "list", "--json").json() == [expected]


def test_a_damaged_run_does_not_hide_the_others(
    opd: Opd, run: RunDirectory, workspace: Path
) -> None:
    damaged = create_run(workspace, SftConfig())
    damaged.config_file.write_text("sft: {colour: red}\n", encoding="utf-8")
    outcome = opd("runs")
    assert outcome.exit_code == 0
    assert run.run_id in outcome.out
    (line,) = [line for line in outcome.out.splitlines() if damaged.run_id in line]
    assert "damaged" in line
    assert "colour" in line


def test_a_run_is_shown_by_a_beginning_of_its_id_or_its_folder(opd: Opd, run: RunDirectory) -> None:
    for name in ("distill", run.run_id, str(run.path)):
        outcome = opd("runs", "show", name, "--json")
        assert outcome.exit_code == 0
        shown = outcome.json()
        assert isinstance(shown, dict)
        assert (shown["run_id"], shown["checkpoints"], shown["best"]) == (run.run_id, [], None)
    text = opd("runs", "show", "distill").out
    assert "checkpoints  none yet" in text


def test_a_folder_that_is_no_run_is_refused(opd: Opd, tmp_path: Path) -> None:
    outcome = opd("runs", "show", str(tmp_path))
    assert outcome.exit_code == 2
    assert "is not the folder of a run" in outcome.err


def test_a_report_is_written_and_printed(opd: Opd, run: RunDirectory) -> None:
    outcome = opd("runs", "report", "distill")
    assert outcome.exit_code == 0
    assert "3 of 3 steps, completed" in outcome.out
    assert f"{run.path / 'report.png'}" in outcome.err


def test_watching_a_run_that_ended_tells_it_and_returns(opd: Opd, run: RunDirectory) -> None:
    outcome = opd("runs", "watch", run.run_id)
    assert outcome.exit_code == 0
    assert outcome.out.splitlines()[0] == "Held out at step 0: reverse KL 2.0000."
    assert outcome.out.splitlines()[-1] == "Finished at step 3: completed."
    assert outcome.err == f"{run.run_id} is finished.\n"


def test_a_run_is_deleted_after_a_question(
    opd: Opd, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (run.path / "nothing").open("w+") as silence:
        monkeypatch.setattr("sys.stdin", silence)
        write_annotations(run, Annotations(name="mine"))
        asked = opd("runs", "delete", run.run_id)
    assert asked.exit_code == 1
    assert f"Move “mine” ({run.run_id}) to the trash?" in asked.err
    assert run.path.exists()
    assert opd("runs", "delete", run.run_id, "--yes").exit_code == 0
    assert not run.path.exists()


def test_a_deleted_run_comes_back_from_the_trash_as_it_was(
    opd: Opd, run: RunDirectory, workspace: Path
) -> None:
    before = run.events_file.read_bytes()
    told = opd("runs", "delete", "latest", "--yes").err
    assert told.endswith(f"Restore with: opd runs restore {run.run_id}\n")
    assert opd("runs", "--json").json() == []
    (line,) = opd("runs", "trash", "--json").json()
    assert (line["run_id"], line["step"]) == (run.run_id, 3)
    assert (workspace / "trash" / run.run_id).is_dir()
    assert opd("runs", "restore", run.run_id).exit_code == 0
    assert run.events_file.read_bytes() == before
    assert "is empty" in opd("runs", "trash").err
    opd("runs", "delete", "latest", "--yes")
    assert opd("runs", "restore", "a [b] name").exit_code == 0, "its name will do"
    assert "not in the trash" in opd("runs", "restore", run.run_id).err
    for _ in range(2):
        opd("runs", "delete", create_run(workspace, run.config()).run_id, "--yes")
    several = opd("runs", "restore", "a [b] name")
    assert several.exit_code == 2
    assert "a [b] name is the name of 2 deleted runs. List them with their ids" in several.err


def test_a_run_deleted_for_good_is_gone(opd: Opd, run: RunDirectory, workspace: Path) -> None:
    assert opd("runs", "delete", run.run_id, "--yes", "--for-good").exit_code == 0
    assert list((workspace / "trash").iterdir()) == []


def test_a_run_is_found_by_what_it_is_called_and_as_the_latest(
    opd: Opd, run: RunDirectory, workspace: Path
) -> None:
    shown = opd("runs", "show", run.run_id).out
    assert opd("runs", "show", "a [b] name").out == opd("runs", "show", "latest").out == shown
    write_annotations(run, Annotations(name="renamed"))
    assert opd("runs", "show", "renamed", "--json").json()["run_id"] == run.run_id
    create_run(workspace, OnPolicyConfig(distillation=DistillationSettings(run_name="renamed")))
    outcome = opd("runs", "show", "renamed")
    assert outcome.exit_code == 2
    assert "2 runs are called 'renamed'" in outcome.err


def test_the_latest_is_the_newest_that_nobody_archived(
    opd: Opd, run: RunDirectory, workspace: Path
) -> None:
    newer = workspace / "runs" / "distill_20990101_000000_0000"
    shutil.copytree(run.path, newer)
    assert opd("runs", "show", "latest", "--json").json()["run_id"] == newer.name
    write_annotations(RunDirectory(newer), Annotations(archived=True))
    assert opd("runs", "show", "latest", "--json").json()["run_id"] == run.run_id
    write_annotations(run, Annotations(archived=True))
    assert opd("runs", "show", "latest", "--json").json()["run_id"] == newer.name


def test_a_run_that_is_being_worked_on_is_not_deleted(opd: Opd, run: RunDirectory) -> None:
    with run.occupied():
        outcome = opd("runs", "delete", run.run_id, "--yes")
    assert outcome.exit_code == 1
    assert "is running" in outcome.err
    assert run.path.exists()


def test_the_index_is_built_again_from_the_folders(
    opd: Opd, run: RunDirectory, workspace: Path
) -> None:
    assert opd("runs", "reindex", "--json").json() == {"runs": 1}
    assert any(path.suffix in (".db", ".sqlite", ".sqlite3") for path in workspace.iterdir())


def test_a_run_with_a_name_that_leads_elsewhere_is_not_worked_with(
    opd: Opd, tmp_path: Path
) -> None:
    run = create_run(tmp_path, OnPolicyConfig())
    (run.checkpoints / "000030").symlink_to(tmp_path)
    for command in (["runs", "show"], ["runs", "report"], ["resume"]):
        ended = opd(*command, run.run_id, "--workspace", str(tmp_path))
        assert ended.exit_code != 0
        assert "checkpoints/000030 is a link" in ended.err, command


def test_a_name_that_is_nearly_a_runs_is_asked_about(opd: Opd, run: RunDirectory) -> None:
    for wrong, meant in (("a b name", "a [b] name"), ("lastest", "latest")):
        outcome = opd("runs", "show", wrong)
        assert outcome.exit_code == 2
        assert f"Is it {meant!r}?" in outcome.err
        assert "List them: opd runs." in outcome.err
    assert "Is it" not in opd("runs", "show", "zzz").err


def test_without_any_run_no_name_is_looked_for(opd: Opd, workspace: Path) -> None:
    outcome = opd("runs", "show", "latest")
    assert outcome.exit_code == 2
    assert (
        f"No run in {workspace} matches 'latest': there is none yet. Start one: opd train"
        in outcome.err
    )


def test_what_is_typed_for_a_run_is_its_name_as_long_as_that_means_it_alone(
    opd: Opd, run: RunDirectory, workspace: Path
) -> None:
    assert typed(run) == "'a [b] name'"
    assert opd("runs", "show", *shlex.split(typed(run))).exit_code == 0
    other = create_run(workspace, run.config())
    assert (typed(run), typed(other)) == (run.run_id, other.run_id)
    for taken in ("latest", run.run_id):
        write_annotations(other, Annotations(name=taken))
        assert typed(other) == other.run_id
    write_annotations(other, Annotations(name="another"))
    assert (typed(run), typed(other)) == ("'a [b] name'", "another")
