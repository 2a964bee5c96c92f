"""Sets that share lines are taken apart over HTTP, and equal uploads are one set."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from backend.backend import Backend

JSONL = {"content-type": "application/jsonl"}


def body(first: int, last: int) -> bytes:
    lines = [{"prompt": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(first, last)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def content_of(made: dict[str, str]) -> bytes:
    return Path(made["path"]).read_bytes()


def change(made: dict[str, str], content: bytes | None) -> None:
    if content is None:
        Path(made["path"]).unlink()
    else:
        Path(made["path"]).write_bytes(content)


async def upload(client: httpx.AsyncClient, content: bytes, name: str) -> dict[str, str]:
    answer = await client.post(
        "/api/prompt-sets/upload", params={"name": name}, content=content, headers=JSONL
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


async def num_sets(client: httpx.AsyncClient) -> int:
    sets = (await client.get("/api/prompt-sets")).json()
    return sum(each["origin"] == "upload" for each in sets)


async def test_the_same_content_uploaded_again_is_the_same_set(
    client: httpx.AsyncClient, backend: Backend
) -> None:
    first = await upload(client, body(0, 30), "train.jsonl")
    again = await upload(client, body(0, 30), "validation.jsonl")
    assert again == first
    assert await num_sets(client) == 1
    other = await upload(client, body(30, 60), "validation.jsonl")
    assert other["id"] != first["id"]
    assert list(backend.settings.scratch.iterdir()) == []


async def test_equal_uploads_at_once_are_one_set(client: httpx.AsyncClient) -> None:
    names = [f"{number}.jsonl" for number in range(6)]
    made = await asyncio.gather(*(upload(client, body(0, 30), name) for name in names))
    assert len({each["id"] for each in made}) == 1
    assert await num_sets(client) == 1


async def test_an_upload_whose_file_was_changed_is_not_taken_for_the_same(
    client: httpx.AsyncClient,
) -> None:
    first = await upload(client, body(0, 30), "train.jsonl")
    change(first, body(0, 30).replace(b"What", b"Whom"))
    assert (await upload(client, body(0, 30), "train.jsonl"))["id"] != first["id"]


async def test_held_out_lines_are_taken_out_into_a_new_set(client: httpx.AsyncClient) -> None:
    training = await upload(client, body(0, 60), "train.jsonl")
    held_out = await upload(client, body(40, 70), "held.jsonl")
    url = f"/api/prompt-sets/{training['id']}/separate"
    asked = {"held_out": held_out["id"], "read_as": "prompts"}
    done = (await client.post(url, json=asked)).json()
    assert (done["num_training"], done["num_held_out"], done["num_taken_out"]) == (40, 30, 20)
    assert done["training"]["name"] == "train without held-out lines.jsonl"
    assert content_of(done["training"]) == body(0, 40)
    assert content_of(training) == body(0, 60)
    assert done["held_out"]["id"] == held_out["id"]
    lint = f"/api/prompt-sets/{held_out['id']}/lint"
    leaky = (await client.get(lint, params={"against": training["id"]})).json()
    mended = (await client.get(lint, params={"against": done["training"]["id"]})).json()
    assert (leaky["verdict"], leaky["num_leaked"]) == ("error", 20)
    assert (mended["verdict"], mended["num_leaked"]) == ("ok", 0)
    # Once more changes nothing.
    assert (await client.post(url, json=asked)).json()["training"] == done["training"]


async def test_a_tenth_is_split_off_into_two_new_sets_by_seed(
    client: httpx.AsyncClient, backend: Backend
) -> None:
    source = await upload(client, body(0, 60), "all.jsonl")
    url = f"/api/prompt-sets/{source['id']}/split"
    done = (await client.post(url, json={"read_as": "prompts", "seed": 3})).json()
    assert (done["num_training"], done["num_held_out"], done["num_taken_out"]) == (54, 6, 0)
    assert done["training"]["name"] == "all training part (10%, seed 3).jsonl"
    assert done["held_out"]["name"] == "all held out (10%, seed 3).jsonl"
    again = (await client.post(url, json={"read_as": "prompts", "seed": 3})).json()
    assert again["held_out"]["id"] == done["held_out"]["id"]
    other = (await client.post(url, json={"read_as": "prompts", "seed": 4})).json()
    assert other["held_out"]["id"] != done["held_out"]["id"]
    assert list(backend.settings.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "said"), [(1, "nothing can be held back"), (0, "no longer there")]
)
async def test_what_cannot_be_taken_apart_is_told_and_leaves_nothing(
    client: httpx.AsyncClient, backend: Backend, count: int, said: str
) -> None:
    source = await upload(client, body(0, 1), "one.jsonl")
    if count == 0:
        change(source, None)
    url = f"/api/prompt-sets/{source['id']}/split"
    answer = await client.post(url, json={"read_as": "prompts"})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert list(backend.settings.scratch.iterdir()) == []


async def test_a_set_that_is_its_own_held_out_set_is_refused_in_words(
    client: httpx.AsyncClient,
) -> None:
    source = await upload(client, body(0, 20), "one.jsonl")
    answer = await client.post(
        f"/api/prompt-sets/{source['id']}/separate",
        json={"held_out": source["id"], "read_as": "prompts"},
    )
    assert answer.status_code == 422
    assert "none would be left" in answer.json()["detail"]
