"""Several teachers through the command and the screen's API: one run, every place that shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.history.runlog import RunLog
from backend.history.summary import detail, read_facts, summarize
from OnPolicyDistill.runs.directory import RunDirectory
from tests.cli.conftest import Opd


@pytest.fixture
def config(pair: Path, tmp_path: Path) -> Path:
    """A config with two teachers, the second of which is the student's copy."""
    values = json.loads((pair / "config.yaml").read_text())["distillation"]
    for key in ("prompts", "validation_prompts"):
        lines = [json.loads(line) for line in Path(values[key]).read_text().splitlines()]
        named = [{**line, "teacher": ("big", "self")[n % 2]} for n, line in enumerate(4 * lines)]
        file = tmp_path / f"{key}.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in named))
        values[key] = str(file)
    copy = {"name": "self", "student_copy": {"refresh_every": 2}}
    values["teachers"] = [{"name": "big", "model": values.pop("teacher_model")}, copy]
    (tmp_path / "config.yaml").write_text(json.dumps({"distillation": values}))
    return tmp_path / "config.yaml"


def test_a_run_of_several_teachers_shows_what_each_of_them_taught(
    opd: Opd, config: Path, workspace: Path
) -> None:
    checked = opd("check", str(config))
    assert checked.exit_code == 0
    assert opd("plan", str(config), "--json").exit_code == 0
    trained = opd("train", str(config))
    assert trained.exit_code == 0, trained.err
    assert "By teacher, at step" in trained.out
    shown = opd("runs", "show", "latest")
    table = shown.out[shown.out.index("teacher  prompts") :].splitlines()
    assert [line.split()[0] for line in table] == ["teacher", "big", "self"]
    told = opd("runs", "show", "latest", "--json").json()
    assert isinstance(told, dict)
    assert [figures["name"] for figures in told["by_teacher"]] == ["big", "self"]
    run = RunDirectory(Path(told["path"]))
    log = RunLog(run)
    log.catch_up()
    page = detail(log, summarize(log, "finished", read_facts(run)))
    assert [figures.name for figures in page.by_teacher] == ["big", "self"]
    for ours, theirs in zip(page.by_teacher, told["by_teacher"], strict=True):
        assert ours.metrics == theirs["metrics"]
        assert ours.intervals["eval_reverse_kl"].low == theirs["intervals"]["eval_reverse_kl"][0]


def test_an_unknown_teacher_is_refused_before_anything_is_loaded(
    opd: Opd, config: Path, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(file.read_text().replace('"self"', '"nobody"', 1))
    refused = opd("train", str(config))
    assert refused.exit_code == 2
    assert "prompts.jsonl, line 2: There is no teacher 'nobody'." in refused.err
    assert "Loading" not in refused.err
