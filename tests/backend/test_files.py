"""Events, charts, rollouts, checkpoints, log and artifacts of a run over HTTP."""

from __future__ import annotations

from io import BytesIO

import httpx
import pytest
from PIL import Image
from pydantic import ValidationError

from backend.backend import Backend
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    CheckpointSaved,
    RolloutRecord,
    RolloutSampled,
    RunFailed,
    RunPaused,
    RunResumed,
    StepFinished,
    Warned,
)
from OnPolicyDistill.runs.log import EventWriter, read_events
from OnPolicyDistill.runs.reporting import Reporter, describe_machine
from tests.backend.conftest import MakeRun

pytestmark = pytest.mark.timeout(60)


async def get(client: httpx.AsyncClient, run: RunDirectory, what: str, **query: object) -> dict:  # type: ignore[type-arg]
    response = await client.get(f"/api/runs/{run.run_id}/{what}", params=query)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


async def test_pages_of_events_join_without_a_gap(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run, seen, last = make_run(steps=50), list[int](), -1
    while True:
        page = await get(client, run, "events", after=last, limit=7)
        if not page["events"]:
            break
        seen += [event["seq"] for event in page["events"]]
        last = page["last"]
    assert seen == list(range(page["total"])) == list(range(52))


async def test_an_event_is_what_the_log_says(client: httpx.AsyncClient, make_run: MakeRun) -> None:
    run = make_run(steps=2)
    page = await get(client, run, "events")
    assert page["events"] == [
        event.model_dump(mode="json") for event in read_events(run.events_file)
    ]


async def test_events_the_models_do_not_know_are_a_problem_in_words(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(steps=1)
    with run.events_file.open("ab") as stream:
        stream.write(b'{"seq":3,"time":1.0,"kind":"from_the_future"}\n')
    response = await client.get(f"/api/runs/{run.run_id}/events")
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_metric_is_drawn_with_time_and_tokens(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(steps=10)
    history = await get(client, run, "metrics/loss", **{"from": 3, "to": 6})
    assert history["step"] == [3, 4, 5, 6]
    assert history["mean"] == history["minimum"] == [1 / 3, 1 / 4, 1 / 5, 1 / 6]
    assert history["tokens"] == [30, 40, 50, 60]
    assert (history["unit"], history["bucket"], history["num_points"]) == ("nats", 1, 4)
    coarse = await get(client, run, "metrics/loss", px=3)
    assert coarse["bucket"] == 4
    assert coarse["maximum"] == [1.0, 1 / 5, 1 / 9]
    assert (await client.get(f"/api/runs/{run.run_id}/metrics/nothing")).status_code == 404


async def test_undone_steps_are_drawn_as_they_happened_last(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(steps=6)
    with EventWriter(run.events_file) as writer:
        writer.write(CheckpointSaved(step=3, path="x", num_bytes=1))
        writer.write(RunPaused(step=6, reason="why not"))
        writer.write(RunResumed(step=3, machine=describe_machine()))
        writer.write(StepFinished(step=4, metrics={"loss": 9.0}))
    history = await get(client, run, "metrics/loss")
    assert history["step"] == [1, 2, 3, 4]
    assert history["mean"][-1] == 9.0
    marks = [(mark["kind"], mark["step"]) for mark in (await get(client, run, "marks"))["marks"]]
    assert marks == [("checkpoint", 3), ("resumed", 3)]


async def test_a_warning_and_a_failure_say_what_can_be_done(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(steps=2)
    with EventWriter(run.events_file) as writer:
        writer.write(Warned(step=1, code="truncated", message="Cut off.", action="Allow more."))
        writer.write(RunFailed(step=2, code="disk_full", message="Full.", action="Free some."))
    marks = (await get(client, run, "marks"))["marks"]
    said = [(mark["text"], mark["code"], mark["action"]) for mark in marks]
    assert said[-2:] == [("Cut off.", "truncated", "Allow more."),
                         ("Full.", "disk_full", "Free some.")]  # fmt: skip
    detail = (await client.get(f"/api/runs/{run.run_id}")).json()
    assert (detail["failure"], detail["failure_code"]) == ("Full.", "disk_full")
    assert detail["failure_action"] == "Free some."


def sample(run: RunDirectory, count: int) -> None:
    reporter = Reporter(run)
    for step in range(1, count + 1):
        reporter.rollout(
            RolloutRecord(
                step=step, index=0, source="student", prompt="Wo?", completion="d" * step,
                finish_reason="stop", token_ids=(1,), token_texts=("d",), student_logprobs=(-1.0,),
                teacher_logprobs=(-2.0,), divergence=(0.5,),
            )
        )  # fmt: skip
    reporter.close()


async def test_rollouts_come_in_pages_from_either_end(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    assert (await get(client, run, "rollouts"))["total"] == 0
    sample(run, 10)
    page = await get(client, run, "rollouts", offset=2, limit=3)
    assert ([each["step"] for each in page["rollouts"]], page["total"]) == ([3, 4, 5], 10)
    page = await get(client, run, "rollouts", offset=1, limit=3, newest_first=True)
    assert [each["step"] for each in page["rollouts"]] == [9, 8, 7]
    assert (await get(client, run, "rollouts", offset=50))["rollouts"] == []


async def test_an_event_leads_to_its_rollout(client: httpx.AsyncClient, make_run: MakeRun) -> None:
    run = make_run()
    sample(run, 5)
    for event in read_events(run.events_file):
        assert isinstance(event, RolloutSampled)
        found = await get(client, run, f"rollouts/{event.offset}")
        assert found["step"] == event.step
        missing = await client.get(f"/api/runs/{run.run_id}/rollouts/{event.offset + 1}")
        assert missing.status_code == 404


async def test_a_damaged_rollout_is_a_problem_and_not_a_crash(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    run.rollouts_file.write_bytes(b"{}\n")
    assert (await client.get(f"/api/runs/{run.run_id}/rollouts")).status_code == 409
    assert (await client.get(f"/api/runs/{run.run_id}/rollouts/0")).status_code == 409


def png(colour: str = "teal") -> bytes:
    stream = BytesIO()
    Image.new("RGB", (24, 16), colour).save(stream, "PNG")
    return stream.getvalue()


def keep_picture(run: RunDirectory, data: bytes, digest: str = "0f" * 16) -> str:
    run.pictures.mkdir(exist_ok=True)
    (run.pictures / f"{digest}.png").write_bytes(data)
    return f"/api/runs/{run.run_id}/pictures/{digest}"


async def test_a_rollout_names_its_pictures_and_the_run_shows_them(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    address = keep_picture(run, png())
    record = RolloutRecord(
        step=1, index=0, source="student", prompt="<image> How wide?", completion="6",
        finish_reason="stop", token_ids=(1,), token_texts=("6",), student_logprobs=(-1.0,),
        pictures=("0f" * 16, "0e" * 16),
    )  # fmt: skip
    reporter = Reporter(run)
    reporter.rollout(record)
    reporter.close()
    (found,) = (await get(client, run, "rollouts"))["rollouts"]
    assert found["pictures"] == ["0f" * 16, "0e" * 16]
    shown = await client.get(address)
    assert (shown.status_code, shown.content) == (200, png())
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in shown.headers["content-security-policy"]
    missing = await client.get(f"/api/runs/{run.run_id}/pictures/{'0e' * 16}")
    assert missing.status_code == 404


def test_a_rollout_names_pictures_by_digests_only() -> None:
    values = {
        "step": 1, "index": 0, "source": "student", "prompt": "", "completion": "",
        "finish_reason": "stop", "token_ids": (), "token_texts": (), "student_logprobs": (),
    }  # fmt: skip
    assert RolloutRecord.model_validate(values).pictures == ()
    with pytest.raises(ValidationError):
        RolloutRecord.model_validate({**values, "pictures": ["../config"]})


async def test_a_runs_picture_may_be_kept_by_the_browser_and_a_refusal_may_not(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    address = keep_picture(run, png())
    shown = await client.get(address)
    kept = shown.headers.get_list("cache-control")
    assert kept == ["private, max-age=31536000, immutable"]
    (run.pictures / f"{'0f' * 16}.png").unlink()
    refusal = await client.get(address)
    assert refusal.status_code == 404
    assert refusal.headers.get_list("cache-control") == ["no-store"]


async def test_checkpoints_are_listed_with_best_and_last(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    for step in (10, 20):
        state = TrainingState(step=step, config_hash="x", seed=0, data_cursor=0, num_tokens=7)
        save_checkpoint(run, state, lambda at: (at / "a").write_bytes(b"12345"))
    point(run, "best", run.checkpoints / "000010")
    found = (await get(client, run, "checkpoints"))["checkpoints"]
    assert [(each["step"], each["is_best"], each["is_last"]) for each in found] == [
        (10, True, False),
        (20, False, True),
    ]
    assert found[0]["state"]["num_tokens"] == 7
    (run.checkpoints / "000010" / "state.json").write_text("{")
    assert (await get(client, run, "checkpoints"))["checkpoints"][0]["state"] is None


async def test_the_log_has_a_tail_and_ranges(client: httpx.AsyncClient, make_run: MakeRun) -> None:
    run = make_run()
    assert (await get(client, run, "log"))["total"] == 0
    run.log_file.write_bytes(b"0123456789\xff")
    assert (await get(client, run, "log", max_bytes=3))["text"] == "89\ufffd"
    part = await get(client, run, "log", **{"from": 2, "max_bytes": 4})
    assert (part["text"], part["start"], part["end"], part["total"]) == ("2345", 2, 6, 11)
    assert (await get(client, run, "log", **{"from": 99}))["text"] == ""


async def test_an_artifact_is_sent_as_a_file_and_never_as_a_page(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    (run.path / "report.svg").write_text("<svg onload='alert(1)'/>")
    response = await client.get(f"/api/runs/{run.run_id}/artifacts/report.svg")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in response.headers["content-security-policy"]
    assert (await client.get(f"/api/runs/{run.run_id}/artifacts/config.yaml")).status_code == 404


async def test_the_instance_says_which_backend_answers(
    client: httpx.AsyncClient, backend: Backend
) -> None:
    instance = (await client.get("/api/instance")).json()
    assert instance["instance"] == backend.settings.instance
    system = (await client.get("/api/system")).json()
    assert 0 < system["memory_available_gb"] <= system["memory_total_gb"]
