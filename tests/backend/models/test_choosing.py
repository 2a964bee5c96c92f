"""Which models fit in a place of a run, and which pairs at which length, over HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from backend.door.door import DOOR, Answer, Door
from backend.door.questions import Asked
from backend.models import choosing
from tests.backend.tiny import write_tiny_model

PAIR = {"teacher_model": "tiny-teacher", "student_model": "tiny-student"}
CONFIG: dict[str, object] = {"method": "on_policy", "distillation": PAIR}


async def asked(
    client: httpx.AsyncClient, key: str, config: dict[str, object] = CONFIG
) -> dict[str, dict[str, object]]:
    answer = await client.post("/api/models/choices", json={"config": config, "key": key})
    assert answer.status_code == 200, answer.text
    assert answer.json()["key"] == key
    return {choice["name"]: choice for choice in answer.json()["choices"]}


async def test_every_form_that_can_be_had_says_whether_it_fits_with_the_other(
    client: httpx.AsyncClient,
) -> None:
    found = await asked(client, "teacher_model")
    assert len(found) > 150
    own = found["tiny-teacher"]
    assert (own["verdict"], own["speaks"], own["problem"]) == ("fits", "same", None)
    assert float(str(own["seconds"])) > 0
    largest = found["qwen3-235b-a22b-instruct-2507"]
    assert (largest["verdict"], largest["seconds"]) == ("does_not_fit", None)
    assert largest["speaks"] == "other"
    # What a choice says is what the plan says once it is chosen.
    chosen = {**PAIR, "teacher_model": "qwen2.5-0.5b-4bit"}
    plan = (
        await client.post("/api/plan", json={"config": {**CONFIG, "distillation": chosen}})
    ).json()
    choice = found["qwen2.5-0.5b-4bit"]
    assert (choice["verdict"], choice["needed_gb"], choice["seconds"]) == (
        plan["verdict"],
        plan["needed_gb"],
        plan["seconds"],
    )


async def test_a_folder_speaks_the_tokens_of_whom_it_shares_its_tokenizer_with(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    folders = [write_tiny_model(tmp_path / name) for name in ("one", "two")]
    folders.append(write_tiny_model(tmp_path / "stranger", num_base_tokens=270))
    for folder in folders:
        assert (
            await client.post("/api/models/folders", json={"path": str(folder)})
        ).status_code == 201
    block = {"teacher_model": str(folders[0]), "student_model": str(folders[0])}
    found = await asked(client, "teacher_model", {"method": "on_policy", "distillation": block})
    assert [found[str(folder)]["speaks"] for folder in folders] == ["same", "same", "other"]
    block["student_model"] = str(tmp_path / "nowhere")
    found = await asked(client, "student_model", {"method": "on_policy", "distillation": block})
    assert found[str(folders[1])]["verdict"] == "fits"
    found = await asked(client, "teacher_model", {"method": "on_policy", "distillation": block})
    assert {choice["speaks"] for choice in found.values()} == {"unknown"}
    assert "There is no model" in str(found["tiny-teacher"]["problem"])


async def test_a_method_without_a_teacher_compares_no_tokens(client: httpx.AsyncClient) -> None:
    config = {"method": "sft", "sft": {"model": "tiny-student"}}
    found = await asked(client, "model", config)
    assert {choice["speaks"] for choice in found.values()} == {None}
    assert found["tiny-student"]["verdict"] == "fits"


@pytest.mark.parametrize("key", ["prompts", "model", "nothing"])
async def test_a_setting_that_names_no_model_is_refused(
    client: httpx.AsyncClient, key: str
) -> None:
    refused = await client.post("/api/models/choices", json={"config": CONFIG, "key": key})
    assert refused.status_code == 422
    assert "names no model" in refused.text


async def test_the_map_has_a_cell_for_each_pair_and_length(client: httpx.AsyncClient) -> None:
    question = {"config": CONFIG, "lengths": [512, 64], "memory_gb": 64}
    answer = await client.post("/api/models/map", json=question)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["lengths"] == [64, 512]
    assert {len(pair["outlooks"]) for pair in found["pairs"]} == {2}
    assert found["pairs"][0]["teacher"]["is_here"]
    names = {pair["teacher"]["name"] for pair in found["pairs"]}
    assert {"tiny-teacher", "qwen2.5-32b-4bit"} <= names


async def test_a_map_of_a_method_without_pairs_is_refused(client: httpx.AsyncClient) -> None:
    config = {"method": "sft", "sft": {"model": "tiny-student"}}
    refused = await client.post("/api/models/map", json={"config": config})
    assert refused.status_code == 422
    assert "not planned by pairs" in refused.text


async def test_the_same_question_is_answered_once_and_again_when_a_model_has_come(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_kinds: list[str] = []

    class Counting(Door):
        def ask(self, question: Asked, kind: type[Answer]) -> Answer:
            asked_kinds.append(kind.__name__)
            return DOOR.ask(question, kind)

    monkeypatch.setattr(choosing, "DOOR", Counting())
    await asked(client, "teacher_model")
    await asked(client, "teacher_model")
    assert asked_kinds == ["Choices"]
    folder = write_tiny_model(tmp_path / "one")
    await client.post("/api/models/folders", json={"path": str(folder)})
    assert str(folder) in await asked(client, "teacher_model")
    assert asked_kinds == ["Choices", "Choices"]
