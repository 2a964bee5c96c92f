"""What a run is worth is told once: of what is exported, on every page, list, card and line."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest

from backend.backend import Backend
from backend.exports.options import checkpoint_folder
from OnPolicyDistill.adapters.card import write_card
from OnPolicyDistill.adapters.facts import facts_of_run
from OnPolicyDistill.cli.narrator import Narrator
from OnPolicyDistill.cli.run_lines import after_text, describe_line, held_out_text
from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.evaluation.report import describe_run
from OnPolicyDistill.runs.annotations import Annotations, write_annotations
from OnPolicyDistill.runs.checkpoints import TrainingState, exported, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import EvaluationFinished, RunResumed, RunStarted, StepFinished
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.pace import Route
from OnPolicyDistill.runs.reporting import Reporter, describe_machine
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.training.between_steps import write_end
from tests.backend.conftest import MakeRun

KEY = "eval_reverse_kl"
# Before, at its best, and at its end, where it is worse again.
VALUES = {0: 2.0, 20: 0.5, 40: 0.8}


def _nothing(_folder: Path) -> None:
    """The arrays of a checkpoint do not matter here."""


def finish(run: RunDirectory, values: dict[int, float], best: int) -> None:
    """Let a run have been, with a checkpoint a step and the best one pointed at."""
    with closing(Reporter(run)) as reporter:
        machine = describe_machine()
        reporter.emit(
            RunStarted(
                run_id=run.run_id, method="on_policy", num_steps=40, config_hash="", machine=machine
            )
        )
        for step, value in values.items():
            state = TrainingState(step=step, config_hash="", seed=0, data_cursor=0, num_tokens=0)
            if step:
                reporter.emit(StepFinished(step=step, metrics={"divergence": value}))
                point(run, "last", save_checkpoint(run, state, _nothing))
            reporter.emit(
                EvaluationFinished(
                    step=step,
                    metrics={KEY: value, "eval_agreement": 1 - value / 4},
                    intervals={KEY: (value - 0.1, value + 0.1)},
                    num_prompts=64,
                    is_best=step in (0, best),
                )
            )
        if best:
            point(run, "best", run.checkpoints / f"{best:06d}")
        write_end(reporter, state, "completed", {})


@pytest.fixture
def run(backend: Backend) -> RunDirectory:
    settings = DistillationSettings(num_steps=40, run_name="ends worse than it was")
    made = create_run(backend.settings.workspace, OnPolicyConfig(distillation=settings))
    finish(made, VALUES, best=20)
    return made


async def test_page_and_list_tell_the_figures_of_what_is_exported(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    folder = exported(run)
    assert folder is not None
    assert int(folder.name) == 20
    assert checkpoint_folder(run, None) == folder
    summary = (await client.get(f"/api/runs/{run.run_id}")).json()["run"]
    metric = summary["metrics"][KEY]
    assert summary["headline_step"] == 20
    assert (metric["first"], metric["after"], metric["last"]) == (2.0, 0.5, 0.8)
    assert metric["after_interval"] == {"low": pytest.approx(0.4), "high": pytest.approx(0.6)}
    assert summary["metrics"]["divergence"]["after"] == 0.8, "what is not held out is the last"
    (listed,) = (await client.get("/api/runs", params={"column": KEY})).json()["runs"]
    assert listed["columns"][KEY] == 0.5
    found = await client.get("/api/runs", params={"filter": f"{KEY}<0.6"})
    assert found.json()["total"] == 1, "lists sort and filter by it"


async def test_runs_are_compared_by_what_they_export(
    client: httpx.AsyncClient, run: RunDirectory, backend: Backend
) -> None:
    other = create_run(backend.settings.workspace, OnPolicyConfig())
    finish(other, {0: 2.0, 20: 1.0, 40: 0.7}, best=40)
    compared = await client.get("/api/comparison", params={"run": [run.run_id, other.run_id]})
    (metric,) = [each for each in compared.json()["metrics"] if each["key"] == KEY]
    assert metric["deltas"] == [0.0, pytest.approx(0.2)], "by their last steps it would be better"
    assert metric["gains"][1] < 0


def test_command_report_card_and_log_tell_the_same(run: RunDirectory) -> None:
    figure = "reverse KL 0.5000 (0.4000 to 0.6000)"
    line = describe_line(run)
    assert held_out_text(line.after) == figure
    assert after_text(line.after) == f"{figure}, agreement 87.5 % (step 20)"
    assert json.loads(json.dumps(asdict(line)))["after"]["metrics"][KEY] == 0.5
    narrator = Narrator(Route(40))
    told = [narrator.tell(event) for event in read_events(run.events_file)]
    assert told[-1] == (
        "Finished at step 40: completed. What is exported is step 20: reverse KL 0.5000 "
        "(0.4000 to 0.6000, -75.0 %), agreement 87.5 % (+37.5 points)."
    )
    text = describe_run(run, fold(read_events(run.events_file)))
    (row,) = [each for each in text.splitlines() if each.startswith("Reverse KL")]
    assert row.split()[-5:-1] == ["2.0000", "0.5000", "0.8000", "-75.0"]
    assert "after: step 20, last: step 40; what is exported is that of after" in text


def test_a_card_is_titled_by_the_name_and_tells_what_is_exported(run: RunDirectory) -> None:
    folder = exported(run)
    assert folder is not None
    card = write_card(facts_of_run(run, int(folder.name)))
    assert "# ends worse than it was\n" in card
    assert "2.0000 (1.9000 to 2.1000) | 0.5000 (0.4000 to 0.6000) |" in card
    write_annotations(run, Annotations(name="the user's name"))
    assert "# the user's name\n" in write_card(facts_of_run(run, 20))


async def test_a_run_that_nothing_improved_tells_its_last_step(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    finish(run, {0: 0.5, 20: 0.7, 40: 0.9}, best=0)
    folder = exported(run)
    assert folder is not None
    assert int(folder.name) == 40
    summary = (await client.get(f"/api/runs/{run.run_id}")).json()["run"]
    assert (summary["headline_step"], summary["metrics"][KEY]["after"]) == (40, 0.9)
    assert held_out_text(describe_line(run).after).startswith("reverse KL 0.9000")


async def test_a_resume_takes_the_headline_of_undone_steps_back(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    with closing(Reporter(run)) as reporter:
        reporter.emit(RunResumed(step=0, machine=describe_machine()))
    summary = (await client.get(f"/api/runs/{run.run_id}")).json()["run"]
    assert (summary["headline_step"], summary["metrics"][KEY]["after"]) == (0, 2.0)
    assert describe_line(run).after is not None
    assert held_out_text(describe_line(run).after).startswith("reverse KL 2.0000")
