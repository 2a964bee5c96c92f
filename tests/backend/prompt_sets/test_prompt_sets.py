"""Prompt sets over HTTP: upload, register, lint, preview, forget."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from backend.backend import Backend
from tests.backend.conftest import MakeRun
from tests.backend.tiny import write_jsonl, write_tiny_model

JSONL = {"content-type": "application/jsonl"}
PROMPTS = [{"prompt": f"the {i} of March", "answer": str(i)} for i in range(12)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "student")


async def register(client: httpx.AsyncClient, file: Path) -> str:
    answer = await client.post("/api/prompt-sets", json={"path": str(file)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def upload(
    client: httpx.AsyncClient, body: bytes, name: str = "mine.jsonl"
) -> httpx.Response:
    return await client.post(
        "/api/prompt-sets/upload", params={"name": name}, content=body, headers=JSONL
    )


def content_of(made: dict[str, str]) -> bytes:
    return Path(made["path"]).read_bytes()


def as_lines(values: list[dict[str, str]]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


async def test_an_upload_lands_in_the_workspace_whole(
    client: httpx.AsyncClient, backend: Backend
) -> None:
    body = as_lines(PROMPTS)
    made = (await upload(client, body, "../../My prompts.jsonl")).json()
    file = Path(made["path"])
    assert file.is_relative_to(backend.settings.workspace / "prompt_sets")
    assert content_of(made) == body
    assert (made["name"], made["kind"], made["is_labelled"]) == (
        "../../My prompts.jsonl",
        "prompts",
        True,
    )
    assert list(backend.settings.scratch.iterdir()) == []


async def test_an_upload_arrives_in_pieces(client: httpx.AsyncClient) -> None:
    body = as_lines(PROMPTS)

    async def pieces():  # type: ignore[no-untyped-def]
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    made = await client.post(
        "/api/prompt-sets/upload", params={"name": "x"}, content=pieces(), headers=JSONL
    )
    assert content_of(made.json()) == body


async def test_an_upload_that_is_too_large_leaves_nothing(
    client: httpx.AsyncClient, backend: Backend
) -> None:
    headers = {**JSONL, "content-length": str(3_000_000_000)}
    refused = await client.post(
        "/api/prompt-sets/upload", params={"name": "x"}, content=b"", headers=headers
    )
    assert refused.status_code == 413
    assert not (backend.settings.workspace / "prompt_sets").exists()


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/json"])
async def test_an_upload_of_another_type_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    refused = await client.post(
        "/api/prompt-sets/upload",
        params={"name": "x"},
        content=b"{}\n",
        headers={"content-type": kind},
    )
    assert refused.status_code == 415


async def test_an_empty_upload_is_refused(client: httpx.AsyncClient) -> None:
    refused = await upload(client, b"")
    assert (refused.status_code, refused.json()["code"]) == (422, "empty_file")


async def test_a_file_is_registered_once_and_stays_where_it_is(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    file = write_jsonl(tmp_path / "p.jsonl", list(PROMPTS))
    first = await register(client, file)
    assert await register(client, file) == first
    (tmp_path / "link.jsonl").symlink_to(file)
    assert await register(client, tmp_path / "link.jsonl") == first
    assert (await client.delete(f"/api/prompt-sets/{first}")).status_code == 204
    assert file.is_file()
    assert (await client.get(f"/api/prompt-sets/{first}")).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/dev/zero", "relative.jsonl", "/nothing", "/tmp", "a\0b", "~nosuchuser/x", "/" + "x" * 400],
)
async def test_what_is_no_regular_file_is_refused(client: httpx.AsyncClient, path: str) -> None:
    refused = await client.post("/api/prompt-sets", json={"path": path})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_path")


async def test_a_pipe_is_refused_instead_of_waited_for(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused = await client.post("/api/prompt-sets", json={"path": str(tmp_path / "pipe")})
    assert refused.status_code == 422


async def test_lint_names_the_lines(client: httpx.AsyncClient, tmp_path: Path, model: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(as_lines(PROMPTS[:3]) + b"{broken\n" + as_lines(PROMPTS[:1]))
    other = write_jsonl(tmp_path / "q.jsonl", [{"prompt": "THE 1 of March"}])
    ours, theirs = await register(client, file), await register(client, other)
    report = (
        await client.get(
            f"/api/prompt-sets/{ours}/lint", params={"against": theirs, "model": str(model)}
        )
    ).json()
    found = {(finding["line"], finding["code"]) for finding in report["findings"]}
    assert {(4, "broken_json"), (5, "duplicate"), (2, "leaked")} <= found
    assert (report["verdict"], report["num_leaked"]) == ("error", 1)
    assert report["lengths"]["unit"] == "tokens"
    plain = (await client.get(f"/api/prompt-sets/{ours}/lint")).json()
    assert (plain["num_leaked"], plain["lengths"]["unit"]) == (0, "characters")


async def test_a_report_follows_the_file(client: httpx.AsyncClient, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "p.jsonl", list(PROMPTS))
    ours = await register(client, file)
    address = f"/api/prompt-sets/{ours}/lint"
    assert (await client.get(address)).json()["num_prompts"] == 12
    write_jsonl(file, list(PROMPTS[:5]))
    assert (await client.get(address)).json()["num_prompts"] == 5
    file.unlink()
    gone = await client.get(address)
    assert (gone.status_code, gone.json()["code"]) == (422, "invalid_dataset")
    assert not (await client.get(f"/api/prompt-sets/{ours}")).json()["is_here"]


async def test_conversations_are_linted_too(client: httpx.AsyncClient, tmp_path: Path) -> None:
    turn = {"prompt": "Hello", "completion": "Hi"}
    file = write_jsonl(tmp_path / "c.jsonl", [turn, turn, {"messages": []}])
    ours = await register(client, file)
    assert (await client.get(f"/api/prompt-sets/{ours}")).json()["kind"] == "conversations"
    report = (await client.get(f"/api/prompt-sets/{ours}/lint", params={"against": ours})).json()
    assert (report["num_prompts"], report["num_duplicates"], report["num_leaked"]) == (2, 1, 2)
    assert {(f["line"], f["code"]) for f in report["findings"]} >= {
        (2, "duplicate"),
        (3, "wrong_type"),
    }


async def test_a_preview_shows_what_the_model_sees(
    client: httpx.AsyncClient, tmp_path: Path, model: Path
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(as_lines(PROMPTS[:2]) + b"{broken\n" + as_lines(PROMPTS[3:]))
    address = f"/api/prompt-sets/{await register(client, file)}/preview"
    page = (await client.get(address, params={"model": str(model), "limit": 3})).json()
    first, _, broken = page["items"]
    assert first["rendered"].startswith("<|im_start|>user\nthe 0 of March<|im_end|>")
    assert first["rendered"].endswith("<|im_start|>assistant\n")
    assert len(first["tokens"]) == first["num_tokens"]
    assert "".join(first["tokens"]) == first["rendered"]
    assert (broken["line"], broken["problem"]["code"]) == (3, "broken_json")
    assert page["has_more"]
    rest = (await client.get(address, params={"offset": 3, "limit": 100})).json()
    assert (len(rest["items"]), rest["has_more"]) == (9, False)
    assert rest["items"][0]["rendered"] is None


async def test_a_model_that_is_not_here_cannot_render(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    ours = await register(client, write_jsonl(tmp_path / "p.jsonl", list(PROMPTS)))
    for name in ("nobody/nothing", "~nosuchuser/x", "a\0b"):
        refused = await client.get(f"/api/prompt-sets/{ours}/preview", params={"model": name})
        assert refused.status_code == 422


async def test_an_upload_that_runs_use_is_deleted_only_when_confirmed(
    client: httpx.AsyncClient, backend: Backend, make_run: MakeRun
) -> None:
    made = (await upload(client, as_lines(PROMPTS))).json()
    run = make_run("my dates", prompts=made["path"])
    backend.watcher.refresh(run.run_id)
    address = f"/api/prompt-sets/{made['id']}"
    found = (await client.get(address)).json()
    assert (found["used_by"], found["used_by_names"]) == ([run.run_id], ["my dates"])
    refused = await client.delete(address)
    assert (refused.status_code, refused.json()["code"]) == (409, "set_used")
    assert "used by my dates" in refused.json()["detail"]
    assert (await client.delete(address, params={"confirmed": True})).status_code == 204
    assert not list((backend.settings.workspace / "prompt_sets").iterdir())


async def test_shipped_sets_are_listed_last_and_stay(client: httpx.AsyncClient) -> None:
    await upload(client, as_lines(PROMPTS))
    sets = (await client.get("/api/prompt-sets")).json()
    origins = [found["origin"] for found in sets]
    assert origins[0] == "upload"
    assert set(origins[1:]) == {"shipped"}
    refused = await client.delete(f"/api/prompt-sets/{sets[-1]['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "set_shipped")


@pytest.mark.parametrize(
    ("name", "body", "kind", "ending"),
    [
        ("a.csv", b"text,label\nJa,de\nno,en\n", "inputs", ".csv"),
        ("a.txt", b"Ja\nno\n", "text", ".txt"),
        ("A Prompt.MD", b"# Say which language it is\n", "text", ".md"),
        ("a.jsonl", b'{"text": "Ja", "label": "de"}\n', "inputs", ".jsonl"),
        ("a.tsv", b'{"prompt": "Ja"}\n', "prompts", ".tsv"),
    ],
)
async def test_a_file_is_kept_under_the_ending_that_says_how_it_is_read(
    client: httpx.AsyncClient, name: str, body: bytes, kind: str, ending: str
) -> None:
    made = (await upload(client, body, name)).json()
    assert (made["kind"], Path(made["path"]).suffix) == (kind, ending)
    assert content_of(made) == body


async def test_inputs_are_linted_and_shown_as_a_model_reads_them(
    client: httpx.AsyncClient, model: Path
) -> None:
    made = (await upload(client, b"text,label\nthe 3 of March,de\na,b,c\n", "a.csv")).json()
    assert made["is_labelled"]
    lint = (await client.get(f"/api/prompt-sets/{made['id']}/lint")).json()
    assert [(found["line"], found["code"]) for found in lint["findings"]] == [(3, "columns")]
    query = {"model": str(model)}
    shown = (await client.get(f"/api/prompt-sets/{made['id']}/preview", params=query)).json()
    first, second = shown["items"]
    assert (first["line"], first["text"], first["answer"]) == (2, "the 3 of March", "de")
    assert first["num_tokens"] > 0
    assert "the 3 of March" in first["rendered"]
    assert second["problem"]["line"] == 3


async def test_shipped_inputs_and_their_prompt_are_known(client: httpx.AsyncClient) -> None:
    sets = {each["id"]: each for each in (await client.get("/api/prompt-sets")).json()}
    assert sets["shipped-languages-train"]["kind"] == "inputs"
    assert sets["shipped-languages-train"]["is_labelled"]
    assert sets["shipped-languages-prompt"]["kind"] == "text"
    assert sets["shipped-dates-train"]["kind"] == "prompts"
