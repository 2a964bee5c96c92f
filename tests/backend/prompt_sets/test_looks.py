"""What the list of sets says of each: looked at once, in the background, kept by content."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.door.questions import LintQuestion
from backend.models.place import Hub
from backend.prompt_sets import looks
from backend.prompt_sets.linter import Linter
from backend.prompt_sets.looks import LOOKS_FILE, Looks, Seen
from backend.settings import BackendSettings
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.linter import LintReport
from tests.backend.tiny import write_jsonl

PROMPTS = [{"prompt": f"the {i} of March", "answer": str(i)} for i in range(12)]


class CountingLinter(Linter):
    """Says which files it has linted."""

    def __init__(self) -> None:
        super().__init__(Hub())
        self.asked: list[str] = []

    def lint(self, question: LintQuestion) -> LintReport:
        self.asked.append(question.file.name)
        return super().lint(question)


async def register(client: httpx.AsyncClient, file: Path) -> str:
    answer = await client.post("/api/prompt-sets", json={"path": str(file)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def sets_by_id(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in (await client.get("/api/prompt-sets")).json()}


async def looked_at(client: httpx.AsyncClient, *set_ids: str) -> dict[str, dict[str, Any]]:
    answer = await client.post("/api/prompt-sets/looks", json={"set_ids": set_ids})
    assert answer.status_code == 202, answer.text
    while True:
        found = await sets_by_id(client)
        if all(found[each]["look_state"] == "seen" for each in set_ids):
            return found
        await asyncio.sleep(0.01)


async def test_a_list_lints_nothing_and_tells_what_was_seen_when_asked(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    lines = [*PROMPTS, PROMPTS[0], {"prompt": ""}]
    mine = await register(client, write_jsonl(tmp_path / "p.jsonl", lines))
    before = (await sets_by_id(client))[mine]
    assert (before["look_state"], before["look"]) == ("unseen", None)
    look = (await looked_at(client, mine))[mine]["look"]
    assert look["verdict"] == "error"
    counts = [look[key] for key in ("num_lines", "num_usable", "num_answers", "num_duplicates")]
    assert counts == [14, 13, 13, 1]
    assert look["problem"] is None


async def test_a_list_asks_once_of_each_set_as_looks_go_on_meanwhile(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await register(client, write_jsonl(tmp_path / "one.jsonl", list(PROMPTS)))
    asked: Counter[str] = Counter()
    of = Looks.of

    def counted(looks: Looks, file: Path, kind: SetKind) -> Seen:
        asked[file.name] += 1
        return of(looks, file, kind)

    monkeypatch.setattr(Looks, "of", counted)
    assert one in await sets_by_id(client)
    assert asked["one.jsonl"] == 1


async def test_the_same_content_in_two_sets_is_told(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    one = await register(client, write_jsonl(tmp_path / "one.jsonl", list(PROMPTS)))
    two = await register(client, write_jsonl(tmp_path / "two.jsonl", list(PROMPTS)))
    other = await register(client, write_jsonl(tmp_path / "other.jsonl", PROMPTS[:11]))
    found = await looked_at(client, one, two, other)
    assert [found[each]["same_as"] for each in (one, two, other)] == [[two], [one], []]
    assert found[one]["look"]["verdict"] != "error"


async def test_a_set_that_is_opened_was_looked_at(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    mine = await register(client, write_jsonl(tmp_path / "p.jsonl", list(PROMPTS)))
    against = await register(client, write_jsonl(tmp_path / "q.jsonl", PROMPTS[:3]))
    address = f"/api/prompt-sets/{mine}/lint"
    assert (await client.get(address, params={"against": against})).json()["num_leaked"] == 3
    assert (await sets_by_id(client))[mine]["look_state"] == "unseen"
    report = (await client.get(address)).json()
    seen = (await sets_by_id(client))[mine]
    assert seen["look_state"] == "seen"
    assert seen["look"]["num_lines"] == report["num_lines"] == 12


async def test_only_small_sets_are_looked_at_unasked(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.prompt_sets.store.SMALL_BYTES", 100)
    large = await register(client, write_jsonl(tmp_path / "large.jsonl", list(PROMPTS)))
    small = await register(client, write_jsonl(tmp_path / "small.jsonl", PROMPTS[:1]))
    told = (await client.post("/api/prompt-sets/looks", json={})).json()
    states = {each["id"]: each["look_state"] for each in told}
    assert states[large] == "unseen"
    assert states[small] in ("waiting", "looking", "seen")
    assert (await looked_at(client, large))[large]["look"]["num_lines"] == 12
    unknown = await client.post("/api/prompt-sets/looks", json={"set_ids": ["nobody"]})
    assert unknown.status_code == 404


async def test_a_file_that_cannot_be_read_says_why(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "p.parquet").write_bytes(b"PAR1 and then nothing of the kind")
    mine = await register(client, tmp_path / "p.parquet")
    look = (await looked_at(client, mine))[mine]["look"]
    assert look["verdict"] == "error"
    assert "parquet" in look["problem"]


def test_what_was_seen_is_kept_by_content_and_outlives_the_process(
    settings: BackendSettings, tmp_path: Path
) -> None:
    settings.workspace.mkdir()
    file = write_jsonl(tmp_path / "p.jsonl", list(PROMPTS))
    first, again = CountingLinter(), CountingLinter()
    report = first.lint(LintQuestion(file=file, set_kind="prompts"))
    Looks(settings.workspace, first).keep(file, "prompts", report)
    seen = Looks(settings.workspace, again)
    assert seen.of(file, "prompts").state == "seen"
    assert seen.of(file, "conversations").state == "unseen"
    moved = write_jsonl(tmp_path / "elsewhere.jsonl", list(PROMPTS))
    assert seen.of(moved, "prompts").state == "unseen"
    seen.take(moved, "prompts")
    assert seen.of(moved, "prompts").look == seen.of(file, "prompts").look
    assert again.asked == []  # the same content under another name
    write_jsonl(file, PROMPTS[:3])
    assert seen.of(file, "prompts").state == "unseen"
    seen.take(file, "prompts")
    look = seen.of(file, "prompts").look
    assert look is not None
    assert (look.num_lines, again.asked) == (3, ["p.jsonl"])


def test_what_is_kept_is_bounded_and_a_damaged_file_counts_as_none(
    settings: BackendSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.workspace.mkdir()
    monkeypatch.setattr(looks, "KEPT_LOOKS", 2)
    seen = Looks(settings.workspace, CountingLinter())
    files = [write_jsonl(tmp_path / f"{n}.jsonl", PROMPTS[: n + 1]) for n in range(3)]
    for file in files:
        seen.take(file, "prompts")
    assert [seen.of(file, "prompts").state for file in files] == ["unseen", "seen", "seen"]
    kept = settings.workspace / LOOKS_FILE
    assert len(json.loads(kept.read_text())["looks"]) == 2
    kept.write_text(kept.read_text()[:-9])
    assert Looks(settings.workspace, CountingLinter()).of(files[2], "prompts").state == "unseen"


def test_another_version_looks_again(settings: BackendSettings, tmp_path: Path) -> None:
    settings.workspace.mkdir()
    file = write_jsonl(tmp_path / "p.jsonl", list(PROMPTS))
    Looks(settings.workspace, CountingLinter()).take(file, "prompts")
    kept = settings.workspace / LOOKS_FILE
    values = json.loads(kept.read_text())
    kept.write_text(json.dumps({**values, "version": "0.0.0"}))
    assert Looks(settings.workspace, CountingLinter()).of(file, "prompts").state == "unseen"
