"""Completions side by side: matched by prompt, the newest that counts, bounded."""

from __future__ import annotations

import httpx
import pytest

from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import RolloutRecord
from OnPolicyDistill.runs.reporting import Reporter
from tests.backend.conftest import MakeRun

pytestmark = pytest.mark.timeout(60)


def say(
    run: RunDirectory, *said: tuple[int, str, str], source: str = "student", index: int = 0
) -> None:
    """Write rollouts: step, prompt and completion each."""
    reporter = Reporter(run)
    for step, prompt, completion in said:
        record = RolloutRecord.model_validate(
            {"step": step, "index": index, "source": source, "prompt": prompt,
             "completion": completion, "finish_reason": "stop", "token_ids": [1, 2],
             "token_texts": ["a", "b"], "student_logprobs": [-1.0, -1.0],
             "teacher_logprobs": [-2.0, -2.0], "divergence": [0.5, 1.5]}
        )  # fmt: skip
        reporter.rollout(record)
    reporter.close()


async def ask(client: httpx.AsyncClient, *runs: RunDirectory, **query: object) -> httpx.Response:
    params = [("run", run.run_id) for run in runs] + [*query.items()]
    return await client.get("/api/comparison/completions", params=params)  # type: ignore[arg-type]


def texts(page: httpx.Response) -> dict[str, list[str | None]]:
    """What each run said to each prompt, where a step has it once; None where it did not."""
    assert page.status_code == 200, page.text
    return {
        same["prompt"]: [it[0]["text"] if it else None for it in same["completions"]]
        for same in page.json()["prompts"]
    }


@pytest.fixture
def runs(make_run: MakeRun) -> tuple[RunDirectory, RunDirectory, RunDirectory]:
    return make_run(), make_run(), make_run()


async def test_prompts_of_most_runs_come_first_with_the_newest_completion(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...]
) -> None:
    first, second, third = runs
    say(first, (1, "p", "old"), (1, "q", "q1"), (5, "p", "new"), (5, "alone", "x"))
    say(first, (6, "p", "the teacher's"), source="teacher")
    say(second, (2, "p", "two"), (2, "q", "q2"))
    say(third, (3, "p", "three"))
    page = await ask(client, first, second, third)
    assert texts(page) == {"p": ["new", "two", "three"], "q": ["q1", "q2", None]}
    assert list(texts(page)) == ["p", "q"]
    assert (page.json()["total"], page.json()["is_complete"]) == (2, True)
    (newest,) = page.json()["prompts"][0]["completions"][0]
    assert (newest["step"], newest["num_tokens"], newest["mean_divergence"]) == (5, 2, 1.0)
    whole = await client.get(f"/api/runs/{first.run_id}/rollouts/{newest['offset']}")
    assert whole.json()["completion"] == "new"


async def test_an_earlier_step_shows_what_was_said_then(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...]
) -> None:
    first, second, _ = runs
    say(first, (1, "p", "at 1"), (4, "p", "at 4"))
    say(second, (3, "p", "at 3"))
    assert texts(await ask(client, first, second, step=3)) == {"p": ["at 1", "at 3"]}
    assert texts(await ask(client, first, second, step=2)) == {}


async def test_what_a_resume_undid_is_not_shown(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...]
) -> None:
    first, second, _ = runs
    say(first, (1, "p", "kept"), (3, "q", "undone"), (4, "p", "undone"), (2, "q", "again"))
    say(second, (1, "p", "x"), (1, "q", "y"))
    assert texts(await ask(client, first, second)) == {"p": ["kept", "x"], "q": ["again", "y"]}


async def test_a_step_that_sampled_a_prompt_twice_shows_both_in_their_order(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...]
) -> None:
    first, second, _ = runs
    say(first, (3, "p", "undone"), (3, "p", "undone too"))
    for run, index, text in ((first, 0, "one"), (first, 1, "two"), (second, 0, "alone")):
        say(run, (3, "p", text), index=index)
    (same,) = (await ask(client, first, second)).json()["prompts"]
    said = [[one["text"] for one in completions] for completions in same["completions"]]
    assert said == [["one", "two"], ["alone"]]


async def test_a_completion_that_no_teacher_scored_has_no_divergence(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...]
) -> None:
    first, second, _ = runs
    say(second, (1, "p", "scored"))
    reporter = Reporter(first)
    reporter.rollout(
        RolloutRecord(
            step=1, index=0, source="student", prompt="p", prompt_index=7, completion="graded",
            finish_reason="stop", token_ids=(1,), token_texts=("a",), student_logprobs=(-1.0,),
        )
    )  # fmt: skip
    reporter.close()
    (same,) = (await ask(client, first, second)).json()["prompts"]
    means = [[one["mean_divergence"] for one in completions] for completions in same["completions"]]
    assert means == [[None], [1.0]]
    offset = same["completions"][0][0]["offset"]
    whole = (await client.get(f"/api/runs/{first.run_id}/rollouts/{offset}")).json()
    assert (whole["divergence"], whole["teacher_logprobs"]) == (None, None)
    assert (whole["prompt_index"], whole["student_logprobs"]) == (7, [-1.0])


async def test_answers_are_bounded(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = runs
    for run in (first, second):
        say(run, *((step, f"p{step}", "z" * 30_000) for step in range(1, 101)))
    page = (await ask(client, first, second, limit=3, offset=1)).json()
    assert (len(page["prompts"]), page["total"]) == (3, 100)
    assert len(page["prompts"][0]["completions"][0][0]["text"]) == 20_000
    monkeypatch.setattr("backend.completions.MAX_BYTES", 1_000_000)
    page = (await ask(client, first, second)).json()
    assert not page["is_complete"]
    assert 20 < page["total"] < 40


async def test_one_run_nine_runs_and_unknown_runs_are_refused(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...]
) -> None:
    assert (await ask(client, runs[0])).status_code == 422
    assert (await ask(client, *(runs * 3))).status_code == 422
    await_unknown = await client.get("/api/comparison/completions?run=no_1&run=no_2")
    assert await_unknown.status_code == 404


async def test_runs_without_rollouts_have_nothing_in_common(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...]
) -> None:
    assert texts(await ask(client, *runs)) == {}


async def test_equal_words_about_different_pictures_are_different_prompts(
    client: httpx.AsyncClient, runs: tuple[RunDirectory, ...]
) -> None:
    first, second, _ = runs
    for run in (first, second):
        reporter = Reporter(run)
        for index, digest in enumerate(("0a" * 16, "0b" * 16)):
            reporter.rollout(
                RolloutRecord(
                    step=1, index=index, source="student", prompt="<image>How wide?",
                    completion=digest[:2], finish_reason="stop", token_ids=(1,),
                    token_texts=("a",), student_logprobs=(-1.0,), pictures=(digest,),
                )
            )  # fmt: skip
        reporter.close()
    page = await ask(client, first, second)
    same = page.json()["prompts"]
    assert sorted(each["pictures"] for each in same) == [["0a" * 16], ["0b" * 16]]
    for each in same:
        assert [[it["text"] for it in of] for of in each["completions"]] == [
            [each["pictures"][0][:2]],
            [each["pictures"][0][:2]],
        ]
