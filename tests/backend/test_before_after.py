"""What a run's student wrote before it learned and after, over HTTP."""

from __future__ import annotations

import httpx
import pytest

from backend.backend import Backend
from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.evaluation.labelled_files import Answered, write_evaluation
from OnPolicyDistill.evaluation.labelled_report import Prediction
from OnPolicyDistill.runs.checkpoints import exported
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.held_out_answers import first_of, write_answers
from OnPolicyDistill.settings.distillation import DistillationSettings
from tests.backend.conftest import MakeRun
from tests.backend.test_headline import VALUES, finish

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def run(backend: Backend) -> RunDirectory:
    settings = DistillationSettings(num_steps=40)
    made = create_run(backend.settings.workspace, OnPolicyConfig(distillation=settings))
    finish(made, VALUES, best=20)
    return made


def keep(run: RunDirectory, step: int, text: str, is_greedy: bool = True) -> None:
    write_answers(run, step, first_of([(7, "noon", "12:00", text, 0.0)], is_greedy))


async def test_answers_before_stand_beside_those_of_what_is_exported(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    for step, text in ((0, "dunno"), (20, "12:00"), (40, "13:00")):
        keep(run, step, text)
    write_answers(run, "teacher", first_of([(7, "noon", "12:00", "12:00", 1.0)]))
    best = exported(run)
    assert best is not None
    (best / "adapters.safetensors").write_bytes(b"x" * 321)
    told = (await client.get(f"/api/runs/{run.run_id}/before-after")).json()
    assert (told["after_step"], told["adapter_bytes"], told["is_greedy"]) == (20, 321, True)
    (row,) = told["rows"]
    assert row["prompt"] == "noon"
    assert [row[who]["text"] for who in ("before", "after", "teacher")] == [
        "dunno", "12:00", "12:00",
    ]  # fmt: skip


async def test_sampled_answers_have_no_greedy_ones_of_the_teacher_beside_them(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    for step in (0, 20):
        keep(run, step, "dunno", is_greedy=False)
    write_answers(run, "teacher", first_of([(7, "noon", None, "12:00", None)]))
    told = (await client.get(f"/api/runs/{run.run_id}/before-after")).json()
    assert not told["is_greedy"]
    assert told["rows"][0]["teacher"] is None


async def test_a_run_that_kept_no_answers_shows_none(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    path = f"/api/runs/{run.run_id}/before-after"
    assert (await client.get(path)).json()["rows"] == []
    keep(run, 0, "dunno")
    assert (await client.get(path)).json()["rows"] == []
    (run.path / "evaluations" / "000020.answers.json").write_text("{")
    assert (await client.get(path)).json()["rows"] == []


async def test_variants_of_labelled_items_are_shown_as_before_and_after(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(steps=1)
    names = ("teacher_with_prompt", "student_before", "student_after")
    said = dict(zip(names, ("b", None, "b"), strict=True))
    answers = {
        name: [
            Prediction(
                index=3, text="which?", gold="b", predicted=label, reply=f"{name} says",
                num_tokens=3, seconds=0.5, finish_reason="stop",
            )
        ]
        for name, label in said.items()
    }  # fmt: skip
    folder = run.path / "evaluation"
    folder.mkdir()
    files = tuple(f"{name}.jsonl" for name in names)
    for name in names:
        (folder / f"{name}.jsonl").write_text(answers[name][0].model_dump_json() + "\n")
    write_evaluation(
        folder, Answered(run.run_id, "items.jsonl", ("a", "b"), names[0], answers, files, 0)
    )
    (row,) = (await client.get(f"/api/runs/{run.run_id}/before-after")).json()["rows"]
    marks = [row[who]["mark"] for who in ("before", "after", "teacher")]
    assert (marks, row["wanted"], row["after"]["text"]) == (
        [0.0, 1.0, 1.0],
        "b",
        "student_after says",
    )
