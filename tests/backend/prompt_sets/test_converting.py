"""Sets of other layouts over HTTP: what they look like, and what they are made into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from backend.backend import Backend
from tests.backend.tiny import write_jsonl

ALPACA = [
    {"instruction": f"Name {i}", "input": "fruit", "output": f"Fig {i}", "n": i} for i in range(3)
]


async def registered(client: httpx.AsyncClient, file: Path) -> str:
    answer = await client.post("/api/prompt-sets", json={"path": str(file)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def first_of(made: dict[str, str]) -> dict[str, Any]:
    line = Path(made["path"]).read_text(encoding="utf-8").splitlines()[0]
    return dict(json.loads(line))


async def test_a_layout_is_told_and_converted_into_a_new_set(
    client: httpx.AsyncClient, backend: Backend, tmp_path: Path
) -> None:
    file = write_jsonl(tmp_path / "alpaca.jsonl", ALPACA)
    set_id = await registered(client, file)
    found = (await client.get(f"/api/prompt-sets/{set_id}/layout")).json()
    assert (found["layout"], found["is_ready"]) == ("alpaca", False)
    assert found["columns"] == ["instruction", "input", "output", "n"]
    answer = await client.post(f"/api/prompt-sets/{set_id}/convert", json={})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["layout"], made["form"], made["num_lines"]) == ("alpaca", "messages", 3)
    assert (made["set"]["kind"], made["set"]["origin"]) == ("conversations", "upload")
    first = first_of(made["set"])
    assert first["messages"][0]["content"] == "Name 0\n\nfruit"
    assert first["n"] == 0
    assert list(backend.settings.scratch.iterdir()) == []


async def test_columns_named_by_hand_make_a_set_of_prompts(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    file = tmp_path / "table.csv"
    file.write_text("frage;antwort\nWas?;Das\nWer?;Ich\n", encoding="utf-8")
    set_id = await registered(client, file)
    found = (await client.get(f"/api/prompt-sets/{set_id}/layout")).json()
    assert (found["layout"], found["columns"]) == (None, ["frage", "antwort", "1", "2"])
    body = {"mapping": {"prompt": "frage", "answer": "antwort"}}
    made = (await client.post(f"/api/prompt-sets/{set_id}/convert", json=body)).json()
    assert (made["form"], made["set"]["kind"], made["set"]["is_labelled"]) == (
        "prompts",
        "prompts",
        True,
    )


async def test_what_cannot_be_converted_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, backend: Backend, tmp_path: Path
) -> None:
    set_id = await registered(client, write_jsonl(tmp_path / "a.jsonl", [{"frage": "a"}]))
    before = (await client.get("/api/prompt-sets")).json()
    for body, words in (
        ({}, "layout of the file is not known"),
        ({"layout": "nobody's"}, "no layout nobody's"),
        ({"mapping": {"prompt": "wer"}}, "no wer"),
        ({"mapping": {"colour": "frage"}}, "prompt"),
    ):
        answer = await client.post(f"/api/prompt-sets/{set_id}/convert", json=body)
        assert answer.status_code == 422
        assert words in answer.text
    assert (await client.get("/api/prompt-sets")).json() == before
    assert list(backend.settings.scratch.iterdir()) == []
