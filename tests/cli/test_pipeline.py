"""`opd pipeline`: refused with a line, run, shown, paused, gone on with, reported."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from OnPolicyDistill.pipelines.directory import list_pipelines
from OnPolicyDistill.pipelines.process import COMMAND
from OnPolicyDistill.pipelines.runner import Launch
from OnPolicyDistill.runs.directory import list_runs
from tests.pipelines.conftest import FAKE, run_ids, states

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


@pytest.fixture
def file(pair: Path, tmp_path: Path) -> Path:
    """Two stages on the tiny pair; their workers write folders without training."""
    settings = json.loads((pair / "config.yaml").read_text(encoding="utf-8"))["distillation"]
    stages = [
        {"name": "first", "method": "on_policy", "settings": {**settings, "run_name": "steps=2"}},
        {
            "name": "second",
            "method": "on_policy",
            "from": "first",
            "settings": {**settings, "run_name": "steps=3", "num_steps": 9},
        },
    ]
    path = tmp_path / "two.yaml"
    path.write_text(json.dumps({"name": "two", "stages": stages}), encoding="utf-8")
    return path


@pytest.fixture
def _fake_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(anyway: bool) -> Launch:
        return Launch(anyway, FAKE.command)

    monkeypatch.setattr("OnPolicyDistill.pipelines.runner.Launch", fake)


@pytest.mark.usefixtures("_fake_stages")
def test_a_pipeline_is_run_once_and_shown(opd: Opd, workspace: Path, file: Path) -> None:
    ran = opd("pipeline", "run", str(file), "--json")
    assert ran.exit_code == 0
    told = ran.json()
    assert isinstance(told, dict)
    assert (told["state"], told["num_finished"], told["table"]) == ("finished", 2, None)
    assert "Stage 1 of 2, first: run distill_" in ran.err
    assert "[second] Finished at step 3: completed." in ran.err
    shown = opd("pipeline", "status")
    assert f"pipeline  {told['pipeline_id']}" in shown.out
    assert "2 of 2 finished" in shown.out
    again = opd("pipeline", "run", str(file))
    assert "Stage 2 of 2, second: finished already" in again.err
    assert "finished before" in again.out
    assert len(list_runs(workspace)) == 2
    listed = opd("pipeline", "list", "--json").json()
    assert isinstance(listed, list)
    assert [one["state"] for one in listed] == ["finished", "finished"]
    refused = opd("pipeline", "report")
    assert refused.exit_code == 2
    assert "compares nothing" in refused.err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"from": "nobody"}, "line 1: stages.1.from: there is no earlier stage nobody"),
        ({"method": "distil"}, "stages.1.method"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_runs(
    opd: Opd, workspace: Path, file: Path, change: dict[str, str], sentence: str
) -> None:
    values = json.loads(file.read_text(encoding="utf-8"))
    values["stages"][1] |= change
    file.write_text(json.dumps(values), encoding="utf-8")
    outcome = opd("pipeline", "run", str(file))
    assert outcome.exit_code == 2
    assert sentence in outcome.err
    assert list_pipelines(workspace) == []


def test_a_stage_that_cannot_work_is_refused_by_its_name(
    opd: Opd, workspace: Path, file: Path
) -> None:
    values = json.loads(file.read_text(encoding="utf-8"))
    values["stages"][1]["settings"]["prompts"] = "nowhere.jsonl"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    outcome = opd("pipeline", "run", str(file))
    assert outcome.exit_code == 2
    assert "Stage second: " in outcome.err
    assert "nowhere.jsonl" in outcome.err
    assert list_pipelines(workspace) == []


def test_a_pipeline_that_is_not_there_is_refused(opd: Opd, workspace: Path) -> None:
    for verb in ("status", "resume", "report"):
        outcome = opd("pipeline", verb)
        assert outcome.exit_code == 2
        assert "matches 'latest': there is none yet. Try: opd demo pipeline." in outcome.err
    assert "opd demo pipeline" in opd("pipeline", "list").err


def test_an_interrupt_pauses_the_stage_with_a_checkpoint(workspace: Path, file: Path) -> None:
    values = json.loads(file.read_text(encoding="utf-8"))
    long = {"num_steps": 100_000, "checkpoint_every": 100_000, "eval_every": 100_000}
    values["stages"][0]["settings"] |= long
    file.write_text(json.dumps(values), encoding="utf-8")
    runner = subprocess.Popen(
        [*COMMAND, "pipeline", "run", str(file), "--anyway", "--workspace", str(workspace)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert runner.stderr is not None
    said = ""
    while "step 2/" not in said:
        line = runner.stderr.readline()
        assert line, said
        said += line if "step 1/" not in line else "step 2/"
    runner.send_signal(signal.SIGINT)
    _, rest = runner.communicate(timeout=120)
    assert runner.returncode == 130
    (pipeline,) = list_pipelines(workspace)
    assert rest.splitlines()[-1] == (
        f"opd: Pipeline {pipeline.pipeline_id} is paused in stage first. "
        f"Go on with: opd pipeline resume {pipeline.pipeline_id}"
    )
    assert states(pipeline) == ["paused", "waiting"]
    run = pipeline.run(str(run_ids(pipeline)[0]))
    assert run.state() == "paused"
    assert [path.name for path in run.checkpoints.iterdir() if path.name.isdigit()]
