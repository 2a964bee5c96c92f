"""Runs over HTTP: make, annotate, duplicate, delete with undo, list, filter, compare."""

from __future__ import annotations

import httpx
import pytest

from backend.backend import Backend
from backend.settings import BackendSettings
from OnPolicyDistill.methods import ALL_FACTS, RUN_KINDS
from OnPolicyDistill.runs.annotations import Annotations, read_annotations, write_annotations
from OnPolicyDistill.runs.events import EvaluationFinished, RunFinished
from OnPolicyDistill.runs.log import EventWriter
from tests.backend.conftest import MakeRun, write_steps

pytestmark = pytest.mark.timeout(60)


async def ids(client: httpx.AsyncClient, **query: object) -> list[str]:
    response = await client.get("/api/runs", params=query)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return [run["run_id"] for run in response.json()["runs"]]


async def test_a_run_is_made_from_a_config(client: httpx.AsyncClient, backend: Backend) -> None:
    body = {
        "config": {"distillation": {"temperature": 1.5}},
        "annotations": {"name": "first", "tags": ["a"]},
    }
    response = await client.post("/api/runs", json=body)
    assert response.status_code == 201, response.text
    made = response.json()
    assert (made["name"], made["state"], made["student"]) == ("first", "created", "qwen2.5-7b")
    detail = (await client.get(f"/api/runs/{made['run_id']}")).json()
    assert detail["config"]["distillation"]["temperature"] == 1.5
    assert "temperature: 1.5" in detail["config_yaml"]
    assert read_annotations(backend.directory(made["run_id"])).tags == ("a",)


SERVED = {
    "teacher_endpoint": {"url": "http://192.168.1.20:8000", "model": "big"},
    "temperature": 1.0,
    "teacher_targets": "top_k",
    "top_k": 8,
    "divergence": "forward_kl",
}


async def test_prompts_leave_the_machine_only_once_that_is_confirmed(
    client: httpx.AsyncClient, backend: Backend
) -> None:
    body = {"config": {"distillation": SERVED}}
    refused = await client.post("/api/runs", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "leaves_machine")
    assert "http://192.168.1.20:8000" in refused.json()["detail"]
    assert await ids(client) == []
    made = await client.post("/api/runs", json={**body, "confirm": True})
    assert made.status_code == 201, made.text
    path = f"/api/runs/{made.json()['run_id']}/duplicate"
    assert (await client.post(path, json={})).json()["code"] == "leaves_machine"
    assert (await client.post(path, json={"confirm": True})).status_code == 201


async def test_a_teacher_served_on_this_machine_asks_nothing(client: httpx.AsyncClient) -> None:
    here = {"url": "http://127.0.0.1:8000", "model": "big"}
    body = {"config": {"distillation": {**SERVED, "teacher_endpoint": here}}}
    assert (await client.post("/api/runs", json=body)).status_code == 201


async def test_any_of_several_teachers_that_is_elsewhere_is_asked_about(
    client: httpx.AsyncClient,
) -> None:
    away = {"name": "away", "endpoint": SERVED["teacher_endpoint"]}
    listed = [{"name": "here", "model": "tiny-teacher"}, away]
    settings = {**SERVED, "teachers": listed, "teacher_endpoint": {}}
    refused = await client.post("/api/runs", json={"config": {"distillation": settings}})
    assert (refused.status_code, refused.json()["code"]) == (409, "leaves_machine")
    assert "http://192.168.1.20:8000" in refused.json()["detail"]


async def test_annotations_change_field_by_field(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    path = f"/api/runs/{run.run_id}/annotations"
    await client.patch(path, json={"name": "mine", "tags": ["x"]})
    response = await client.patch(path, json={"favourite": True})
    assert response.json()["annotations"] == {
        "name": "mine", "tags": ["x"], "note": "", "favourite": True, "archived": False,
    }  # fmt: skip
    assert (await client.patch(path, json={"name": None})).json()["name"] == "steps=3"
    response = await client.patch(path, json={"tags": ["two words"]})
    assert response.json()["errors"][0]["location"] == "body.tags.0"


async def test_damaged_annotations_are_not_written_over(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    file = run.path / "annotations.json"
    file.write_text('{"name": "precious", broken')
    response = await client.patch(f"/api/runs/{run.run_id}/annotations", json={"note": "x"})
    assert response.status_code == 409
    assert "precious" in file.read_text()
    detail = (await client.get(f"/api/runs/{run.run_id}")).json()
    assert "annotations.json" in detail["run"]["damage"]


async def test_a_duplicate_has_the_changes_and_nothing_else_new(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run("original", steps=3)
    changes = {"distillation.lora.rank": 8, "distillation.seed": 5}
    response = await client.post(f"/api/runs/{run.run_id}/duplicate", json={"changes": changes})
    assert response.status_code == 201
    copy = response.json()
    assert copy["run_id"] != run.run_id
    assert (copy["state"], copy["num_events"]) == ("created", 0)
    query = {"run": [run.run_id, copy["run_id"]]}
    comparison = (await client.get("/api/comparison", params=query)).json()
    different = {row["key"]: row["values"] for row in comparison["settings"]}
    assert different == {
        "distillation.lora.rank": [16, 8],
        "distillation.seed": [0, 5],
        "distillation.run_name": ["original", None],
    }


async def test_a_duplicate_has_the_name_of_the_other_run_again_unless_one_is_given(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    path = f"/api/runs/{make_run('original', steps=1).run_id}/duplicate"
    named = {"changes": {"distillation.run_name": "seed 5"}}
    called = {"annotations": {"name": "a third"}}
    names = [(await client.post(path, json=asked)).json()["name"] for asked in ({}, named, called)]
    assert names == ["original again", "seed 5", "a third"]


async def test_who_has_the_gpu_is_told_by_name(
    client: httpx.AsyncClient, backend: Backend, make_run: MakeRun
) -> None:
    run = make_run("dates, slowly", steps=1)
    await client.get(f"/api/runs/{run.run_id}")
    assert backend.name_of(run.run_id) == "“dates, slowly”"
    assert backend.name_of("distill_gone") == "distill_gone"


async def test_a_duplicate_with_a_wrong_change_names_the_field(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    body = {"changes": {"distillation.lora.rank": -1}}
    response = await client.post(f"/api/runs/{run.run_id}/duplicate", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["location"] == "distillation.lora.rank"


async def test_a_deleted_run_comes_back_whole(client: httpx.AsyncClient, make_run: MakeRun) -> None:
    run = make_run(steps=3)
    content = run.events_file.read_bytes()
    for _ in range(2):
        assert (await client.delete(f"/api/runs/{run.run_id}")).status_code == 204
    assert await ids(client) == []
    assert [each["run_id"] for each in (await client.get("/api/trash")).json()] == [run.run_id]
    for _ in range(2):
        response = await client.post(f"/api/trash/{run.run_id}/restore")
        assert response.json()["num_events"] == 5
    assert await ids(client) == [run.run_id]
    assert run.events_file.read_bytes() == content


async def test_a_purged_run_is_gone(client: httpx.AsyncClient, make_run: MakeRun) -> None:
    run = make_run()
    await client.delete(f"/api/runs/{run.run_id}")
    for _ in range(2):
        assert (await client.delete(f"/api/trash/{run.run_id}")).status_code == 204
    assert (await client.post(f"/api/trash/{run.run_id}/restore")).status_code == 404
    assert (await client.delete(f"/api/runs/{run.run_id}")).status_code == 404


@pytest.fixture
async def three(client: httpx.AsyncClient, backend: Backend, make_run: MakeRun) -> list[str]:
    """Runs of 2, 4 and 8 steps: their last KL is 1/2, 1/4, 1/8."""
    runs = [make_run(f"run{count}", steps=count, seed=count) for count in (2, 4, 8)]
    write_annotations(runs[0], Annotations(tags=("old", "small"), favourite=True))
    write_annotations(runs[1], Annotations(note="Wärmer as 100% before", archived=True))
    backend.watcher.start()
    return [run.run_id for run in runs]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"filter": "eval_reverse_kl<0.3"}, [1, 2]),
        ({"filter": "eval_reverse_kl <= 0.25"}, [1, 2]),
        ({"filter": ["step>2", "distillation.seed!=8"]}, [1]),
        ({"filter": "distillation.seed=8"}, [2]),
        ({"filter": "distillation.student_model~QWEN"}, [0, 1, 2]),
        ({"filter": "loss.first=1"}, [0, 1, 2]),
        ({"filter": "loss.minimum<0.2"}, [2]),
        ({"filter": "tag=small"}, [0]),
        ({"filter": "tag!=small"}, [1, 2]),
        ({"filter": "distillation.mixed_precision=true"}, [0, 1, 2]),
        ({"filter": "method=sft"}, []),
        ({"search": "wärmer 100%"}, [1]),
        ({"search": "run8"}, [2]),
        ({"search": "_"}, [0, 1, 2]),
        ({"favourite": "true"}, [0]),
        ({"archived": "yes"}, [1]),
        ({"archived": "no"}, [0, 2]),
        ({"state": "interrupted"}, [0, 1, 2]),
        ({"state": ["running", "queued"]}, []),
    ],
)
async def test_filters_find_what_they_say(
    client: httpx.AsyncClient, three: list[str], query: dict[str, str], wanted: list[int]
) -> None:
    found = await ids(client, **{"archived": "all", **query})
    assert sorted(found) == sorted(three[number] for number in wanted)


@pytest.mark.parametrize(
    "sort", ["eval_reverse_kl", "-step", "-distillation.seed", "-name", "loss.last_"]
)
async def test_any_key_sorts(client: httpx.AsyncClient, three: list[str], sort: str) -> None:
    found = await ids(client, archived="all", sort=sort)
    wanted = sorted(three, reverse=True) if sort == "loss.last_" else three[::-1]
    assert found == wanted


async def test_runs_of_every_method_are_sorted_and_found_by_their_student(
    client: httpx.AsyncClient,
) -> None:
    configs = [
        {"sft": {"model": "b"}},
        {"distillation": {"student_model": "c", "teacher_model": "t"}},
        {"prompt_distillation": {"student_model": "a"}},
    ]
    for config in configs:
        assert (await client.post("/api/runs", json={"config": config})).status_code == 201
    listed = (await client.get("/api/runs", params={"sort": "student"})).json()["runs"]
    assert [run["student"] for run in listed] == ["a", "b", "c"]
    assert len(await ids(client, filter="student=b")) == 1
    assert len(await ids(client, filter="teacher=t")) == 1


async def test_pages_cover_everything_once(client: httpx.AsyncClient, three: list[str]) -> None:
    pages = [
        await ids(client, archived="all", sort="step", limit=2, offset=offset) for offset in (0, 2)
    ]
    assert [*pages[0], *pages[1]] == three
    body = (await client.get("/api/runs", params={"archived": "all", "limit": 2})).json()
    assert body["total"] == 3


async def test_columns_show_the_keys_asked_for(client: httpx.AsyncClient, three: list[str]) -> None:
    query = {"column": ["distillation.seed", "eval_reverse_kl", "nothing"], "sort": "step"}
    runs = (await client.get("/api/runs", params=query)).json()["runs"]
    assert runs[0]["columns"] == {"distillation.seed": 2, "eval_reverse_kl": 0.5}
    keys = (await client.get("/api/run-keys")).json()["keys"]
    assert {"step", "tag", "distillation.lora.rank", "loss.minimum"} <= set(keys)


@pytest.mark.parametrize(
    "text", ["", "loss", "loss<", "<3", "loss<abc", "name<3", "a b=3", "loss<>3"]
)
async def test_filters_nobody_understands_are_refused(client: httpx.AsyncClient, text: str) -> None:
    response = await client.get("/api/runs", params={"filter": text})
    assert response.status_code == 422
    assert response.json()["errors"][0]["location"].startswith("query.filter")


async def test_metrics_compare_with_the_first_run(
    client: httpx.AsyncClient, three: list[str]
) -> None:
    comparison = (await client.get("/api/comparison", params={"run": three})).json()
    metrics = {metric["key"]: metric for metric in comparison["metrics"]}
    assert metrics["eval_reverse_kl"]["deltas"] == [0, -0.25, -0.375]
    assert metrics["eval_reverse_kl"]["better"] == "lower"
    assert metrics["eval_reverse_kl"]["gains"] == [0, 0.25, 0.375]
    assert (await client.get("/api/comparison", params={"run": three[:1]})).status_code == 422


async def test_the_config_text_of_a_form_is_checked(client: httpx.AsyncClient) -> None:
    text = "distillation:\n  temperature: 3\n"
    checked = (await client.post("/api/configs/parse", json={"yaml": text})).json()
    assert checked["config"]["distillation"]["temperature"] == 3
    again = (await client.post("/api/configs/check", json={"config": checked["config"]})).json()
    assert again == checked


async def test_the_schemas_for_form_and_charts_are_complete(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/api/schema/config")).json()
    fields = schema["$defs"]["DistillationSettings"]["properties"]
    assert fields["temperature"]["maximum"] == 4.0
    assert all("description" in field for field in fields.values())
    metrics = (await client.get("/api/schema/metrics")).json()
    assert {"key", "title", "unit", "better", "group", "meaning"} == set(metrics[0])


async def test_methods_are_told_as_the_library_describes_them(client: httpx.AsyncClient) -> None:
    told = (await client.get("/api/schema/methods")).json()
    assert [kind["name"] for kind in told] == list(RUN_KINDS)
    for kind, facts in zip(told, ALL_FACTS, strict=True):
        assert kind == facts.model_dump(mode="json")
        assert "settings" not in kind


@pytest.mark.parametrize("training", ["sft", "on_policy"])
async def test_a_runs_page_says_what_its_settings_measure_and_show(
    client: httpx.AsyncClient, training: str
) -> None:
    config = {"prompt_distillation": {"training": training, "temperature": 1.5}}
    made = (await client.post("/api/runs", json={"config": config})).json()
    facts = (await client.get(f"/api/runs/{made['run_id']}")).json()["facts"]
    assert made["method"] == facts["name"] == "prompt_distillation"
    scored = training == "on_policy"
    assert facts["best_metric"] == ("eval_reverse_kl" if scored else "eval_loss")
    first = facts["face"]["main"]["metrics"][0]["label"]
    assert first == ("Training, T = 1.5" if scored else "Training")


async def test_a_run_whose_config_cannot_be_read_is_of_no_method(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    run.config_file.write_text("method: alchemy\n", encoding="utf-8")
    detail = (await client.get(f"/api/runs/{run.run_id}")).json()
    assert (detail["run"]["method"], detail["facts"], detail["config"]) == ("unknown", None, None)
    assert "method" in detail["run"]["damage"]


async def test_no_room_on_the_disk_is_said_before_a_run_is_made(
    settings: BackendSettings, client: httpx.AsyncClient, backend: Backend
) -> None:
    object.__setattr__(backend.settings, "min_free_disk_gb", 1e9)
    response = await client.post("/api/runs", json={"config": {"method": "on_policy"}})
    assert (response.status_code, response.json()["code"]) == (507, "disk_full")
    assert await ids(client) == []


async def test_a_log_that_grows_changes_the_entry(
    client: httpx.AsyncClient, backend: Backend, make_run: MakeRun
) -> None:
    run = make_run()
    assert (await client.get(f"/api/runs/{run.run_id}")).json()["run"]["num_events"] == 0
    write_steps(run, 2)
    assert (await client.get(f"/api/runs/{run.run_id}")).json()["run"]["step"] == 2


async def test_held_out_figures_carry_their_intervals_everywhere(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    key, metrics = "eval_reverse_kl", {"eval_reverse_kl": 0.5}
    with EventWriter(run.events_file) as writer:
        for step, bounds in ((0, (1.5, 2.5)), (10, (0.4, 0.7))):
            writer.write(
                EvaluationFinished(
                    step=step, metrics=metrics, intervals={key: bounds}, num_prompts=64
                )
            )
        report, intervals = {"after_eval_reverse_kl": 0.5}, {"after_eval_reverse_kl": (0.4, 0.7)}
        writer.write(RunFinished(step=10, because="completed", report=report, intervals=intervals))
    detail = (await client.get(f"/api/runs/{run.run_id}")).json()
    summary = detail["run"]["metrics"]
    assert list(summary) == [key]
    assert summary[key]["last_interval"] == {"low": 0.4, "high": 0.7}
    assert summary[key]["first_interval"] == {"low": 1.5, "high": 2.5}
    assert detail["run"]["num_held_out"] == 64
    assert detail["report_intervals"] == {"after_eval_reverse_kl": {"low": 0.4, "high": 0.7}}
    path = f"/api/runs/{run.run_id}/metrics"
    history = (await client.get(f"{path}/{key}")).json()
    assert (history["low"], history["high"]) == ([1.5, 0.4], [2.5, 0.7])
    assert (await client.get(f"{path}/{key}.low")).status_code == 422
