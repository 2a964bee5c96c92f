"""Runs of several ranks through the API: which hosts may be named, and what is shown of ranks."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.backend import Backend
from backend.problems import ConflictError
from backend.ranks import Chosen, keep, rank_options
from backend.settings import BackendSettings
from OnPolicyDistill.distributed.hosts import read_hosts
from OnPolicyDistill.files import remove_any
from OnPolicyDistill.runs.ranks import RanksStep, RankStep, write_ranks
from tests.backend.conftest import MakeRun
from tests.backend.test_bundles import bring, export
from tests.backend.test_supervisor import until

SFT = {"sft": {"model": "tiny-student", "conversations": "c.jsonl"}}
TWO = [{"ssh": "here", "ips": ["127.0.0.1"]}, {"ssh": "other", "ips": ["192.0.2.7"]}]


@pytest.fixture
def hosts(settings: BackendSettings) -> Path:
    settings.workspace.mkdir(exist_ok=True)
    file = settings.workspace / "hosts.json"
    write(file, {"hosts": TWO})
    return file


def write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content))


def is_private(folder: Path) -> bool:
    return stat.S_IMODE(folder.stat().st_mode) == 0o700


async def make(client: httpx.AsyncClient, code: int, **asked: object) -> Any:
    answer = await client.post("/api/runs", json={"config": SFT, **asked})
    assert answer.status_code == code, answer.text
    return answer.json()


async def test_a_run_here_keeps_its_number_of_ranks(
    client: httpx.AsyncClient, settings: BackendSettings
) -> None:
    run = (await make(client, 201, ranks=3))["run_id"]
    assert rank_options(settings.workspace, run) == ["-n", "3"]
    alone = (await make(client, 201))["run_id"]
    assert rank_options(settings.workspace, alone) == []
    shown = (await client.get(f"/api/runs/{run}/ranks")).json()
    assert [rank["rank"] for rank in shown["ranks"]] == [0, 1, 2]
    assert (await client.get(f"/api/runs/{alone}/ranks")).json() == {"step": None, "ranks": []}


async def test_the_screen_reads_whom_to_confirm_from_the_same_file(
    client: httpx.AsyncClient, hosts: Path
) -> None:
    answer = await client.post("/api/hosts", json={"path": str(hosts)})
    assert [host["ssh"] for host in answer.json()["hosts"]] == ["here", "other"]
    write(hosts, {"hosts": TWO, "envs": ["PYTHONPATH=/tmp"]})
    assert (await client.post("/api/hosts", json={"path": str(hosts)})).status_code == 422


async def test_no_process_is_started_on_hosts_that_were_not_confirmed_by_name(
    client: httpx.AsyncClient, settings: BackendSettings, hosts: Path
) -> None:
    for confirmed in ([], ["here", "other"], ["another"]):
        problem = await make(client, 409, hosts=str(hosts), confirm_hosts=confirmed)
        assert problem["code"] == "confirm_hosts"
        assert "over ssh, on: other (192.0.2.7)" in problem["title"] + problem["detail"]
    assert list(settings.runs.iterdir()) == []
    run = (await make(client, 201, hosts=str(hosts), confirm_hosts=["other"]))["run_id"]
    option, kept = rank_options(settings.workspace, run)
    assert option == "--hosts"
    # What was confirmed counts, whatever the file says by the time the run starts.
    write(hosts, {"hosts": [TWO[0], {**TWO[1], "ssh": "evil"}]})
    assert [host.ssh for host in read_hosts(Path(kept)).hosts] == ["here", "other"]
    assert is_private(Path(kept).parent)
    # Nor does another file of hosts in its place, such as one whose writing was cut short.
    write(Path(kept), {"hosts": [TWO[0], {**TWO[1], "ssh": "stale"}]})
    rank_options(settings.workspace, run)
    assert [host.ssh for host in read_hosts(Path(kept)).hosts] == ["here", "other"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"hosts": TWO, "envs": ["LD_PRELOAD=/tmp/x.so"]}, "sets variables on the hosts"),
        ({"hosts": [TWO[0], {**TWO[1], "ssh": "-oProxyCommand=sh"}]}, "hosts.1.ssh"),
        ({"hosts": [TWO[0], {**TWO[1], "ips": ["192.0.2.7 && sh"]}]}, "hosts.1.ips.0"),
        ({"hosts": [TWO[0], {**TWO[1], "python": "/tmp/python"}]}, "hosts.1.python"),
        ({"hosts": TWO[::-1]}, "is not this machine"),
        ("x" * 70_000, "too large"),
    ],
)
async def test_a_file_that_could_run_anything_else_is_refused(
    client: httpx.AsyncClient, hosts: Path, content: object, said: str
) -> None:
    write(hosts, content)
    problem = await make(client, 422, hosts=str(hosts), confirm_hosts=["other"])
    assert said in json.dumps(problem)


async def test_a_file_outside_the_users_folders_is_refused_through_a_link_too(
    client: httpx.AsyncClient,
    settings: BackendSettings,
    hosts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    outside = tmp_path / "outside.json"
    write(outside, {"hosts": TWO})
    link = settings.workspace / "link.json"
    link.symlink_to(outside)
    for path in (outside, link, "hosts.json", tmp_path / "absent.json"):
        problem = await make(client, 422, hosts=str(path), confirm_hosts=["other"])
        assert problem["code"] == "invalid_path"


async def test_ranks_that_do_not_go_with_the_run_are_refused(
    client: httpx.AsyncClient, hosts: Path
) -> None:
    both = await make(client, 422, hosts=str(hosts), ranks=2, confirm_hosts=["other"])
    assert "Give one of them" in json.dumps(both)
    config = {"distillation": {"teacher_shards": 2}}
    for ranks in (1, 3):
        problem = await make(client, 422, config=config, ranks=ranks)
        assert "distillation.teacher_shards" in json.dumps(problem)
    await make(client, 201, config=config, ranks=2)
    evaluation = {"evaluation": {"variants": [{"name": "a", "model": "tiny-student"}]}}
    assert "one process" in json.dumps(await make(client, 422, config=evaluation, ranks=2))


async def test_a_run_that_is_resumed_elsewhere_asks_for_the_hosts_again(
    client: httpx.AsyncClient, hosts: Path, make_run: MakeRun
) -> None:
    run = make_run()
    where = {"where": {"hosts": str(hosts), "confirm_hosts": []}}
    answer = await client.post(f"/api/runs/{run.run_id}/start", json=where)
    assert (answer.status_code, answer.json()["code"]) == (409, "confirm_hosts")


async def test_the_worker_is_started_as_ranks_and_they_are_shown(
    live_client: httpx.AsyncClient, backend: Backend, make_run: MakeRun
) -> None:
    run = make_run("steps=2000 pause=0.05")
    where = {"where": {"ranks": 2}}
    answer = await live_client.post(f"/api/runs/{run.run_id}/start", json=where)
    assert answer.status_code == 200
    await until(live_client, run, "running")
    # The same again changes nothing; other ranks would not be true of it.
    for ranks, code in ((2, 200), (3, 409)):
        again = {"where": {"ranks": ranks}}
        answer = await live_client.post(f"/api/runs/{run.run_id}/start", json=again)
        assert answer.status_code == code, answer.text
        assert rank_options(backend.settings.workspace, run.run_id) == ["-n", "2"]
    process = backend.supervisor.process
    assert process is not None
    command = list(map(str, process.args))  # type: ignore[arg-type]
    assert command[command.index("-n") + 1] == "2"
    said = [
        RankStep(
            rank=rank, host="mac", num_rows=2, num_tokens=30, seconds=2, waiting_seconds=1,
            memory_gb=4,
        )
        for rank in range(2)
    ]  # fmt: skip
    write_ranks(run, RanksStep(step=7, ranks=tuple(said)))
    shown = (await live_client.get(f"/api/runs/{run.run_id}/ranks")).json()
    assert shown["step"] == 7
    assert [(rank["fate"], rank["said"]["num_tokens"]) for rank in shown["ranks"]] == [
        ("alive", 30)
    ] * 2


async def test_a_bundle_is_not_started_on_hosts_that_an_earlier_run_of_its_id_had(
    client: httpx.AsyncClient, settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    bundle = await export(client, run)
    for purge in (client.delete(f"/api/trash/{run.run_id}"), None):
        keep(settings.workspace, run.run_id, Chosen(num_ranks=2))
        if purge is None:
            remove_any(run.path)  # as a terminal purges
        else:
            await client.delete(f"/api/runs/{run.run_id}")
            assert rank_options(settings.workspace, run.run_id) == ["-n", "2"]
            await purge
            assert rank_options(settings.workspace, run.run_id) == []
        assert (await bring(client, bundle)).status_code == 201
        assert rank_options(settings.workspace, run.run_id) == []


def test_what_is_damaged_starts_nothing(settings: BackendSettings, make_run: MakeRun) -> None:
    run = make_run()
    folder = settings.workspace / "ranks"
    folder.mkdir()
    (folder / f"{run.run_id}.json").write_text('{"num_ranks": 2, "command": "sh"}')
    with pytest.raises(Exception, match="is damaged, which says where the ranks") as caught:
        rank_options(settings.workspace, run.run_id)
    assert not isinstance(caught.value, ConflictError)
