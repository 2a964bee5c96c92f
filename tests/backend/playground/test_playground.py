"""The playground over HTTP, with the real process and tiny models."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from backend.app import create_api, guard
from backend.backend import Backend
from backend.playground.playground import Playground
from backend.playground.views import Question
from backend.supervisor.slot import ActiveRun, Slot
from backend.workbench import Workbench
from OnPolicyDistill.evaluation.playground_messages import PlaygroundMessage
from OnPolicyDistill.runs.checkpoints import point
from tests.backend.conftest import ORIGIN, TOKEN, MakeRun, eventually
from tests.backend.tiny import write_endless_model, write_tiny_adapter, write_tiny_model

pytestmark = pytest.mark.timeout(120)
MESSAGES = [{"role": "user", "content": "the third of March"}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    student = write_tiny_model(root / "student", seed=0)
    write_tiny_model(root / "teacher", seed=1)
    write_tiny_adapter(root / "adapter", student)
    write_endless_model(root / "endless")
    return root


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    api = create_api(backend)
    workbench: Workbench = api.state.workbench
    transport = httpx.ASGITransport(app=guard(api, backend), raise_app_exceptions=False)
    async with (
        workbench.running(),
        httpx.AsyncClient(
            transport=transport, base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}
        ) as client,
    ):
        yield client


@pytest.fixture
async def playground(backend: Backend) -> AsyncIterator[Playground]:
    workbench = Workbench(backend)
    async with workbench.running():
        yield workbench.playground


def hold_the_gpu(backend: Backend) -> None:
    backend.supervisor.slot = Slot(active=ActiveRun(run_id="distill_x", verb="train"))


async def ask(client: httpx.AsyncClient, **question: object) -> list[dict[str, Any]]:
    answer = await client.post("/api/playground/ask", json={"messages": MESSAGES, **question})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = (line for line in answer.text.splitlines() if line.startswith("data: "))
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def test_three_models_answer_side_by_side_and_stay_warm(
    client: httpx.AsyncClient, models: Path
) -> None:
    question = {
        "student_model": str(models / "student"),
        "adapter": str(models / "adapter"),
        "teacher_model": str(models / "teacher"),
        "sampling": {"max_tokens": 9, "temperature": 1.0, "seed": 1},
    }
    first = await ask(client, **question)
    assert [m["role"] for m in first if m["kind"] == "finished"] == ["base", "student", "teacher"]
    assert sum(len(m["grades"]) for m in first if m["kind"] == "grades") == sum(
        len(m["tokens"]) for m in first if m["kind"] == "tokens" and m["role"] == "student"
    )
    assert first[-1]["kind"] == "done"
    state = (await client.get("/api/playground")).json()
    assert (state["state"], state["student"]) == ("warm", str(models / "student"))
    second = await ask(client, **question)
    assert {m["kind"] for m in first} - {m["kind"] for m in second} == {"loading"}
    assert (await client.delete("/api/playground")).json()["state"] == "cold"


async def test_a_run_lends_its_student_adapter_and_teacher(
    client: httpx.AsyncClient, models: Path, make_run: MakeRun
) -> None:
    run = make_run(student_model=str(models / "student"), teacher_model=str(models / "teacher"))
    checkpoint = run.checkpoints / "000010"
    shutil.copytree(models / "adapter", checkpoint)
    (checkpoint / "state.json").write_text("{}")
    point(run, "last", checkpoint)
    for which in ("best", "last", 10):
        messages = await ask(
            client, run_id=run.run_id, checkpoint=which, sampling={"max_tokens": 2}
        )
        assert sum(m["kind"] == "finished" for m in messages) == 3
    refused = await client.post(
        "/api/playground/ask",
        json={"messages": MESSAGES, "run_id": run.run_id, "checkpoint": 11},
    )
    assert (refused.status_code, refused.json()["errors"][0]["location"]) == (
        422,
        "body.checkpoint",
    )


async def test_the_teacher_of_a_run_wears_what_it_wore_there(
    client: httpx.AsyncClient, models: Path, make_run: MakeRun
) -> None:
    named = {"student_model": str(models / "student"), "teacher_model": str(models / "student")}
    run = make_run(**named, teacher_adapter=str(models / "adapter"))
    checkpoint = run.checkpoints / "000010"
    shutil.copytree(models / "adapter", checkpoint)
    (checkpoint / "state.json").write_text("{}")
    point(run, "last", checkpoint)
    asked = {"run_id": run.run_id, "sampling": {"max_tokens": 4}, "roles": ["student", "teacher"]}
    wearing = await ask(client, **asked)
    said = [
        [t for m in wearing if m["kind"] == "tokens" and m["role"] == role for t in m["tokens"]]
        for role in asked["roles"]
    ]
    assert said[0] == said[1]
    bare = await ask(client, **asked, teacher_model=named["teacher_model"])
    last = [
        t for m in bare if m["kind"] == "tokens" and m["role"] == "teacher" for t in m["tokens"]
    ]
    assert [t["logprob"] for t in last] != [t["logprob"] for t in said[1]]


@pytest.mark.parametrize(
    ("question", "location"),
    [
        ({}, "body.student_model"),
        ({"student_model": "nobody/nothing"}, "body.student_model"),
        ({"student_model": "STUDENT", "roles": ["teacher"]}, "body.teacher_model"),
        ({"student_model": "STUDENT", "roles": ["base"]}, "body.adapter"),
        ({"student_model": "STUDENT", "teacher_model": "nobody/nothing"}, "body.teacher_model"),
    ],
)
async def test_what_is_missing_is_named_before_anything_is_loaded(
    client: httpx.AsyncClient, models: Path, question: dict[str, object], location: str
) -> None:
    named = {
        key: str(models / "student") if value == "STUDENT" else value
        for key, value in question.items()
    }
    answer = await client.post("/api/playground/ask", json={"messages": MESSAGES, **named})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == location
    assert (await client.get("/api/playground")).json()["state"] == "cold"


async def test_a_broken_adapter_is_a_failure_in_words_and_the_process_lives(
    client: httpx.AsyncClient, models: Path, tmp_path: Path
) -> None:
    messages = await ask(
        client, student_model=str(models / "student"), adapter=str(tmp_path), roles=["student"]
    )
    assert messages[-1]["kind"] == "failed"
    assert "adapter_config.json" in str(messages[-1]["message"])
    fine = await ask(client, student_model=str(models / "student"), sampling={"max_tokens": 2})
    assert fine[-1]["kind"] == "done"


async def test_a_run_with_the_gpu_comes_first(
    client: httpx.AsyncClient, backend: Backend, models: Path
) -> None:
    hold_the_gpu(backend)
    answer = await client.post(
        "/api/playground/ask",
        json={"messages": MESSAGES, "student_model": str(models / "student")},
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "gpu_busy")
    assert "distill_x" in answer.json()["detail"]
    state = (await client.get("/api/playground")).json()
    assert (state["state"], "distill_x" in state["reason"]) == ("blocked", True)


def question_for(models: Path, max_tokens: int = 16_000) -> Question:
    return Question.model_validate(
        {
            "messages": MESSAGES,
            "student_model": str(models / "endless"),
            "sampling": {"max_tokens": max_tokens, "temperature": 1.0},
        }
    )


async def until_tokens(messages: AsyncIterator[PlaygroundMessage]) -> None:
    async for message in messages:
        if message.kind == "tokens":
            return
    raise AssertionError("no token came")


async def until_gone(pid: int) -> None:
    async def is_gone() -> bool:
        return not psutil.pid_exists(pid)

    await eventually(is_gone)


async def pid_of(playground: Playground) -> int:
    assert playground._process is not None
    return playground._process.pid


async def test_a_run_that_starts_gets_the_memory(
    playground: Playground, backend: Backend, models: Path
) -> None:
    messages = playground.follow(await playground.open(question_for(models)))
    await until_tokens(messages)
    pid = await pid_of(playground)
    hold_the_gpu(backend)
    rest = [message async for message in messages]
    assert rest[-1].kind == "stopped"
    assert "distill_x" in rest[-1].reason
    await until_gone(pid)


async def test_the_memory_goes_back_after_idle_time(playground: Playground, models: Path) -> None:
    playground.idle_seconds = 0.2
    question = question_for(models, max_tokens=2)
    messages = [m async for m in playground.follow(await playground.open(question))]
    assert messages[-1].kind == "done"
    pid = await pid_of(playground)
    await until_gone(pid)
    assert (await playground.view()).state == "cold"


async def test_who_stops_listening_stops_the_work(playground: Playground, models: Path) -> None:
    messages = playground.follow(await playground.open(question_for(models)))
    await until_tokens(messages)
    await messages.aclose()  # type: ignore[attr-defined]
    assert (await playground.view()).state == "warm"
    short = question_for(models, max_tokens=2)
    again = [m async for m in playground.follow(await playground.open(short))]
    assert again[-1].kind == "done"
    assert not any(m.kind == "loading" for m in again)


async def test_another_question_takes_the_place_of_the_first(
    playground: Playground, models: Path
) -> None:
    first = playground.follow(await playground.open(question_for(models)))
    await until_tokens(first)
    second = playground.follow(await playground.open(question_for(models)))
    rest = [message async for message in first]
    assert rest[-1].kind == "stopped"
    assert "Another question" in rest[-1].reason
    await until_tokens(second)
    await second.aclose()  # type: ignore[attr-defined]


async def test_a_killed_process_is_explained_and_replaced(
    playground: Playground, models: Path
) -> None:
    messages = playground.follow(await playground.open(question_for(models)))
    await until_tokens(messages)
    os.kill(await pid_of(playground), signal.SIGKILL)
    rest = [message async for message in messages]
    assert rest[-1].kind == "failed"
    assert "signal 9" in rest[-1].message
    await until_tokens(playground.follow(await playground.open(question_for(models))))


async def test_the_process_ends_with_its_parent(playground: Playground, models: Path) -> None:
    await until_tokens(playground.follow(await playground.open(question_for(models))))
    pid = await pid_of(playground)
    await playground.close()
    assert not psutil.pid_exists(pid)


async def test_a_process_in_the_middle_of_an_answer_leaves_without_a_signal(
    playground: Playground, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.playground.process.end", refuse)
    await until_tokens(playground.follow(await playground.open(question_for(models))))
    process = playground._process
    assert process is not None
    await playground.close()
    assert process._process.returncode == 0


def refuse(_worker: object) -> None:
    raise AssertionError("it had to be signalled")


@pytest.fixture(autouse=True)
def quiet_slot(backend: Backend) -> Iterator[None]:
    yield
    backend.supervisor.slot = Slot()
