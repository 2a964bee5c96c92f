"""Options that say where ranks run, and what is believed of how a run of them ended."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from OnPolicyDistill.cli.ranks import chosen_places, ranks_here
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.distributed import launching
from OnPolicyDistill.distributed.launching import MET_VARIABLE, RANK_SHELL, Places, run_ranks
from OnPolicyDistill.errors import InputError, RankLostError
from OnPolicyDistill.runs.directory import create_run


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    file = tmp_path / "hosts.json"
    named = [{"ssh": name, "ips": ["127.0.0.1"]} for name in ("here", "there")]
    file.write_text(json.dumps({"backend": "jaccl", "hosts": named}))
    return file


def test_one_process_is_no_place_for_ranks() -> None:
    assert chosen_places(1, None, None) is None
    assert ranks_here(None) == 1
    with pytest.raises(InputError, match="Give -n or --hosts"):
        chosen_places(1, None, "ring")


def test_hosts_share_no_memory_and_bring_their_backend(hosts: Path) -> None:
    places = chosen_places(1, hosts, None)
    assert places is not None
    assert (places.num_ranks, places.backend, ranks_here(places)) == (2, "jaccl", 1)
    local = chosen_places(3, None, None)
    assert ranks_here(local) == 3
    with pytest.raises(InputError, match="both say where"):
        chosen_places(2, hosts, None)


def test_the_first_host_is_started_without_ssh(hosts: Path) -> None:
    places = chosen_places(1, hosts, None)
    assert places is not None
    assert places.hosts is not None
    told = places.hosts.for_launch()["hosts"]
    assert isinstance(told, list)
    assert [host["ssh"] for host in told] == ["127.0.0.1", "there"]


@pytest.mark.parametrize(("meets", "code"), [("", 3), ('echo met > "$OPD_RANKS_MET"; ', 0)])
def test_the_shell_hides_how_a_rank_ended_only_once_the_ranks_have_met(
    meets: str, code: int
) -> None:
    command = ["bash", "-c", RANK_SHELL, "rank", "bash", "-c", f"{meets}exit 3"]
    environment = {key: value for key, value in os.environ.items() if key != MET_VARIABLE}
    assert subprocess.run(command, env=environment, check=False).returncode == code


def test_a_launcher_that_reports_success_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = tmp_path / "mlx.launch"
    launcher.write_text("#!/bin/sh\nexit 0\n")
    launcher.chmod(0o755)
    monkeypatch.setattr(launching.sys, "executable", str(tmp_path / "python"))
    run = create_run(tmp_path, parse_config({"sft": {"model": "m", "conversations": "c.jsonl"}}))
    with pytest.raises(RankLostError, match="never began"):
        run_ranks(run, Places(2, "ring"), ["true"])
