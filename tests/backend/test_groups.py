"""The list of runs in groups, and the views of it that are saved."""

from __future__ import annotations

import httpx
import pytest

from backend.backend import Backend
from OnPolicyDistill.runs.events import EvaluationFinished
from OnPolicyDistill.runs.log import EventWriter
from tests.backend.conftest import MakeRun

KEY = "eval_reverse_kl"


def measured(make_run: MakeRun, name: str, value: float, **changes: object) -> str:
    run = make_run(name, **changes)
    with EventWriter(run.events_file) as log:
        log.write(EvaluationFinished(step=0, metrics={KEY: value}))
    return run.run_id


async def test_runs_are_grouped_by_any_key_in_the_order_of_the_list(
    client: httpx.AsyncClient, make_run: MakeRun, backend: Backend
) -> None:
    for name, value, seed in (("a", 1.0, 10), ("b", 3.0, 9), ("c", 2.0, 10), ("d", 5.0, 9)):
        measured(make_run, name, value, seed=seed)
    backend.index.reconcile()
    asked = {"group": "seed", "sort": KEY, "column": KEY}
    found = (await client.get("/api/run-groups", params=asked)).json()
    assert [(group["value"], group["count"]) for group in found["groups"]] == [("9", 2), ("10", 2)]
    spread = found["groups"][1]["columns"][KEY]
    assert spread == {"mean": 1.5, "minimum": 1.0, "maximum": 2.0, "count": 2}
    listed = (await client.get("/api/runs", params=asked)).json()["runs"]
    assert [run["name"] for run in listed] == ["b", "d", "a", "c"]
    falling = (await client.get("/api/runs", params={**asked, "sort": f"-{KEY}"})).json()["runs"]
    assert [run["name"] for run in falling] == ["d", "b", "c", "a"]


async def test_runs_without_the_key_are_a_group_of_their_own_at_the_end(
    client: httpx.AsyncClient, make_run: MakeRun, backend: Backend
) -> None:
    make_run("never measured")
    measured(make_run, "measured", 1.0)
    backend.index.reconcile()
    found = (await client.get("/api/run-groups", params={"group": KEY})).json()
    assert [(group["value"], group["count"]) for group in found["groups"]] == [
        ("1.0", 1),
        (None, 1),
    ]
    listed = (await client.get("/api/runs", params={"group": KEY})).json()["runs"]
    assert [run["name"] for run in listed] == ["measured", "never measured"]


async def test_a_run_with_two_tags_is_in_one_group(
    client: httpx.AsyncClient, make_run: MakeRun, backend: Backend
) -> None:
    run = make_run("tagged")
    path = f"/api/runs/{run.run_id}/annotations"
    await client.patch(path, json={"tags": ["second", "first"]})
    found = (await client.get("/api/run-groups", params={"group": "tag"})).json()
    assert [(group["value"], group["count"]) for group in found["groups"]] == [("first", 1)]
    assert (await client.get("/api/runs", params={"group": "tag"})).json()["total"] == 1


async def test_groups_hold_what_the_filters_leave(
    client: httpx.AsyncClient, make_run: MakeRun, backend: Backend
) -> None:
    measured(make_run, "low", 1.0)
    measured(make_run, "high", 3.0)
    backend.index.reconcile()
    asked = {"group": "method", "filter": f"{KEY}<2", "column": KEY}
    (group,) = (await client.get("/api/run-groups", params=asked)).json()["groups"]
    assert (group["value"], group["count"], group["columns"][KEY]["maximum"]) == ("on_policy", 1, 1)
    (same,) = (await client.get("/api/run-groups", params={"group": "state"})).json()["groups"]
    assert (same["value"], same["count"]) == ("interrupted", 2)


async def test_a_key_with_too_many_values_groups_nothing(
    client: httpx.AsyncClient, make_run: MakeRun, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("a")
    make_run("b")
    backend.index.reconcile()
    monkeypatch.setattr("backend.history.groups.MAX_GROUPS", 1)
    refused = await client.get("/api/run-groups", params={"group": "name"})
    assert refused.status_code == 422
    assert "more than 1 values" in refused.text
    assert (await client.get("/api/run-groups", params={"group": "method"})).status_code == 200


async def test_saved_views_stay_and_names_are_unique(
    client: httpx.AsyncClient, backend: Backend
) -> None:
    assert (await client.get("/api/run-views")).json() == {"views": []}
    views = [
        {"name": "best", "search": '{"sort":"eval_reverse_kl"}'},
        {"name": "best", "search": '{"sort":"-eval_accuracy"}'},
    ]
    assert (await client.put("/api/run-views", json={"views": views})).status_code == 200
    assert (await client.get("/api/run-views")).json() == {"views": views[1:]}
    file = backend.settings.workspace / "views.json"
    file.write_text("damaged", encoding="utf-8")
    assert (await client.get("/api/run-views")).json() == {"views": []}
    assert (await client.put("/api/run-views", json={"views": views[1:]})).status_code == 200
    (aside,) = file.parent.glob("views.json.damaged-*")
    assert aside.read_text(encoding="utf-8") == "damaged"
    refused = await client.put("/api/run-views", json={"views": [{"name": "", "search": ""}]})
    assert refused.status_code == 422
