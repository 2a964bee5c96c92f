"""Labelled evaluations over HTTP."""

from __future__ import annotations

import httpx
import pytest

from OnPolicyDistill.evaluation.labelled_files import Answered, write_evaluation
from OnPolicyDistill.evaluation.labelled_report import Prediction
from OnPolicyDistill.runs.directory import RunDirectory
from tests.backend.conftest import MakeRun

pytestmark = pytest.mark.timeout(120)


def answer(index: int, gold: str, predicted: str | None) -> Prediction:
    return Prediction(
        index=index, text=f"text {index}", gold=gold, predicted=predicted, reply="r" * 5000,
        num_tokens=3, seconds=0.5, finish_reason="stop",
    )  # fmt: skip


def evaluate(run: RunDirectory, num_items: int = 20) -> None:
    """Write an evaluation: `good` is always right, `poor` on every other item."""
    folder = run.path / "evaluation"
    folder.mkdir()
    answers: dict[str, list[Prediction]] = {"good": [], "poor": []}
    for index in range(num_items):
        gold = "ab"[index % 2]
        for name, said in (("good", gold), ("poor", "a" if index % 3 else None)):
            answers[name].append(answer(index, gold, said))
    for number, (name, given) in enumerate(answers.items(), start=1):
        lines = [each.model_dump_json() for each in given]
        (folder / f"{number}_{name}.jsonl").write_text("\n".join(lines) + "\n")
    files = ("1_good.jsonl", "2_poor.jsonl")
    answered = Answered(run.run_id, "items.jsonl", ("a", "b"), "good", answers, files, 0)
    write_evaluation(folder, answered)


async def test_a_report_comes_with_its_heat_map(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(steps=1)
    path = f"/api/runs/{run.run_id}/evaluation"
    missing = await client.get(path)
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    evaluate(run)
    report = (await client.get(path)).json()
    good, poor = report["variants"]
    assert (good["accuracy"], good["teacher_agreement"]) == (1.0, None)
    assert poor["parse_rate"] == 13 / 20
    picture = await client.get(f"{path}.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


async def test_answers_come_in_pages(client: httpx.AsyncClient, make_run: MakeRun) -> None:
    run = make_run(steps=1)
    evaluate(run)
    path = f"/api/runs/{run.run_id}/evaluation/predictions"
    query = {"variant": "poor", "only": "unparseable", "offset": 2, "limit": 2}
    page = (await client.get(path, params=query)).json()
    assert [answer["index"] for answer in page["answers"]] == [6, 9]
    assert page["total"] == 7
    assert len(page["answers"][0]["reply"]) == 4000
    wrong = (await client.get(path, params={"variant": "good", "only": "wrong"})).json()
    assert wrong["total"] == 0
    unknown = await client.get(path, params={"variant": "nobody"})
    assert unknown.status_code == 404


async def test_answers_are_found_by_label_and_by_words(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(steps=1)
    evaluate(run)
    path = f"/api/runs/{run.run_id}/evaluation/predictions"

    async def found(**query: str) -> list[int]:
        page = (await client.get(path, params={"variant": "poor", **query})).json()
        return [answer["index"] for answer in page["answers"]]

    assert await found(gold="b", predicted="a") == [1, 5, 7, 11, 13, 17, 19]
    assert await found(gold="b", only="unparseable") == [3, 9, 15]
    assert await found(words="TEXT 1", only="right") == [10, 14, 16]
    assert await found(words="rrrr", gold="a", predicted="b") == []


async def test_a_link_is_no_evaluation(client: httpx.AsyncClient, make_run: MakeRun) -> None:
    run, other = make_run(steps=1), make_run(steps=1)
    evaluate(other)
    (run.path / "evaluation").symlink_to(other.path / "evaluation")
    assert (await client.get(f"/api/runs/{run.run_id}/evaluation")).status_code == 404


async def test_variants_of_runs_are_compared_with_intervals(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    first, second = make_run(steps=1), make_run(steps=1)
    evaluate(first)
    evaluate(second)
    query = {"run": [first.run_id, second.run_id]}
    compared = (await client.get("/api/comparison/evaluation", params=query)).json()
    assert len(compared["variants"]) == 4
    pairs = {(pair["first"], pair["second"]): pair for pair in compared["pairs"]}
    good = f"{first.run_id}: good"
    assert pairs[good, f"{first.run_id}: poor"]["better"] == good
    assert pairs[good, f"{second.run_id}: good"]["better"] is None


async def test_runs_on_other_items_are_not_compared(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    first, second = make_run(steps=1), make_run(steps=1)
    evaluate(first)
    evaluate(second, num_items=10)
    query = {"run": [first.run_id, second.run_id]}
    refused = await client.get("/api/comparison/evaluation", params=query)
    assert refused.status_code == 422
    assert "did not answer the same items" in refused.json()["detail"]
