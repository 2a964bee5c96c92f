"""Prompts of the playground: drawn from a run's own files, kept as lines of a set; blind votes."""

from __future__ import annotations

from pathlib import Path

import httpx

from backend.settings import BackendSettings
from OnPolicyDistill.datasets.prompts import load_prompts
from tests.backend.conftest import MakeRun
from tests.backend.tiny import write_jsonl


async def test_samples_come_from_both_files_of_a_run_and_a_seed_repeats_them(
    client: httpx.AsyncClient, make_run: MakeRun, tmp_path: Path
) -> None:
    for name, count in (("train", 250), ("validation", 30)):
        lines: list[object] = [
            {"prompt": f"{name} {i}", "answer": str(i)} for i in range(1, count + 1)
        ]
        write_jsonl(tmp_path / name, lines)
    run = make_run(prompts=str(tmp_path / "train"), validation_prompts=str(tmp_path / "validation"))
    asked = f"/api/runs/{run.run_id}/samples"
    first = (await client.get(asked, params={"seed": 1})).json()
    assert [sample["text"].split()[0] for sample in first] == ["train"] * 3 + ["validation"] * 3
    assert len({sample["source"] for sample in first}) == 2
    for sample in first:
        name, number = sample["text"].split()
        assert (sample["line"], sample["answer"]) == (int(number), number)
    assert (await client.get(asked, params={"seed": 1})).json() == first
    assert (await client.get(asked, params={"seed": 2})).json() != first
    (tmp_path / "train").unlink()
    rest = (await client.get(asked)).json()
    assert {sample["text"].split()[0] for sample in rest} == {"validation"}


async def test_a_file_that_no_machine_could_have_has_no_samples(
    client: httpx.AsyncClient, make_run: MakeRun, tmp_path: Path
) -> None:
    there = write_jsonl(tmp_path / "validation", [{"prompt": "validation 1"}])
    run = make_run(prompts="~nobody-of-that-name/train.jsonl", validation_prompts=str(there))
    samples = await client.get(f"/api/runs/{run.run_id}/samples")
    assert samples.status_code == 200, samples.text
    assert [sample["text"] for sample in samples.json()] == ["validation 1"]


async def test_a_question_is_kept_as_a_line_that_training_reads(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    asked = {"messages": [{"role": "user", "content": "Wie spät?"}]}
    made = await client.post("/api/playground/kept", json=asked | {"name": "Meine"})
    assert made.status_code == 201, made.text
    kept = made.json()
    assert (kept["name"], kept["kind"], kept["origin"]) == ("Meine.jsonl", "prompts", "upload")
    system = [{"role": "system", "content": "Be short."}, *asked["messages"]]
    more = {"messages": system, "answer": "half past six", "set_id": kept["id"]}
    assert (await client.post("/api/playground/kept", json=more)).status_code == 201
    file = Path(kept["path"])
    found = load_prompts(file).prompts
    assert [prompt.text for prompt in found] == ["Wie spät?", "Wie spät?"]
    assert found[1].answer == "half past six"
    assert list(found[1].messages) == system


async def test_sets_of_others_and_of_runs_are_left_as_they_are(
    client: httpx.AsyncClient, tmp_path: Path, make_run: MakeRun, settings: BackendSettings
) -> None:
    asked = {"messages": [{"role": "user", "content": "a"}]}
    own = write_jsonl(tmp_path / "mine.jsonl", [{"prompt": "b"}])
    registered = (await client.post("/api/prompt-sets", json={"path": str(own)})).json()
    made = (await client.post("/api/playground/kept", json=asked)).json()
    make_run(prompts=made["path"])
    assert (await client.post("/api/reindex")).is_success
    for set_id, code in ((registered["id"], "set_not_ours"), (made["id"], "set_used")):
        refused = await client.post("/api/playground/kept", json=asked | {"set_id": set_id})
        assert (refused.status_code, refused.json()["code"]) == (409, code)
    gone = await client.post("/api/playground/kept", json=asked | {"set_id": "nothing"})
    assert gone.status_code == 404
    assert own.read_text().count("\n") == 1


async def test_votes_are_kept_a_run_and_say_when_the_teacher_is_told_apart(
    client: httpx.AsyncClient, make_run: MakeRun, settings: BackendSettings
) -> None:
    run, other = make_run("one"), make_run("other")
    votes = f"/api/runs/{run.run_id}/votes"
    assert (await client.get(votes)).json()["interval"] is None
    for is_right in (True, False, True):
        tally = (await client.post(votes, json={"is_right": is_right})).json()
    assert (tally["num_right"], tally["num_votes"], tally["is_told_apart"]) == (2, 3, False)
    for _ in range(9):
        tally = (await client.post(votes, json={"is_right": True})).json()
    # Wilson's interval of 11 in 12 begins at 0.646.
    assert abs(tally["interval"]["low"] - 0.646) < 0.001
    assert tally["is_told_apart"]
    assert (await client.get(f"/api/runs/{other.run_id}/votes")).json()["num_votes"] == 0
    (settings.workspace / "blind_votes.json").write_text("{")
    assert (await client.get(votes)).json()["num_votes"] == 0
    assert (await client.post(votes, json={"is_right": True})).json()["num_votes"] == 1
    (aside,) = settings.workspace.glob("blind_votes.json.damaged-*")
    assert aside.read_text() == "{"
    assert (await client.delete(votes)).json()["num_votes"] == 0
