"""Hosts are looked at over ssh, which here is a program that runs what it is given."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import psutil
import pytest

from OnPolicyDistill.cli.app import main
from OnPolicyDistill.distributed.hosts import read_hosts
from OnPolicyDistill.errors import InputError

# Options come first, then the host and what it shall run. `dark` refuses.
SSH = """#!/bin/bash
while [ "$1" = -o ]; do shift 2; done
case "$1" in
  dark) echo "ssh: connect to host dark port 22: Connection refused" >&2; exit 255 ;;
  *) eval "$2" ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def write_hosts(folder: Path, *names: str, ip: str = "127.0.0.1") -> Path:
    file = folder / "hosts.json"
    file.write_text(json.dumps({"hosts": [{"ssh": name, "ips": [ip]} for name in names]}))
    return file


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_hosts_that_are_alike_are_shown_with_their_links(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run(capsys, "hosts", "check", str(write_hosts(folder, "one", "two")), "--json")
    one, two = json.loads(printed)
    assert code == 0
    assert one["answer"]["packages"] == two["answer"]["packages"]
    assert one["link"] is None
    assert two["link"]["mb_per_second"] > 0
    assert 0 < two["link"]["round_trip_ms"] < 1000
    assert one["problems"] == two["problems"] == []


def test_what_was_measured_goes_into_the_file_for_the_forecast_and_never_to_the_launcher(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_hosts(folder, "one", "two")
    assert run(capsys, "hosts", "check", str(file), "--write")[0] == 0
    one, two = read_hosts(file).hosts
    assert one.mb_per_second is None
    assert (two.chip, two.memory_gb) == (one.chip, one.memory_gb)
    assert two.memory_gb == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.1)
    assert two.machine.mb_per_second is not None
    assert two.machine.mb_per_second > 0
    launched = read_hosts(file).for_launch()["hosts"]
    assert launched == [
        {"ssh": name, "ips": ["127.0.0.1"], "rdma": []} for name in ("127.0.0.1", "two")
    ]


def test_a_host_that_refuses_ssh_and_a_model_that_is_missing_are_said_in_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder / "config.yaml"
    config.write_text(f"sft: {{model: {folder / 'absent'}, conversations: c.jsonl}}\n")
    hosts = write_hosts(folder, "one", "dark")
    code, printed = run(capsys, "hosts", "check", str(hosts), "--config", str(config))
    assert code == 1
    assert "dark: It gave no answer; it said: ssh: connect to host dark port 22" in printed
    assert f"one: The model {folder / 'absent'} is not there." in printed


def test_an_address_that_is_not_the_hosts_own_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_hosts(folder, "one", "two")
    hosts = json.loads(file.read_text())
    hosts["hosts"][1]["ips"] = ["192.0.2.1"]
    file.write_text(json.dumps(hosts))
    code, printed = run(capsys, "hosts", "check", str(file))
    assert code == 1
    assert "two: It gave no answer; it said:" in printed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"hosts": [{"ssh": "a", "ips": ["127.0.0.1"]}]}', "at least 2 items"),
        ('{"hosts": [{"ssh": "-oProxyCommand=x", "ips": ["127.0.0.1"]}, 1]}', "hosts.0.ssh"),
        (
            '{"hosts": [{"ssh": "a", "ips": ["127.0.0.1"]}, {"ssh": "b", "ips": ["1.2.3.4;ls"]}]}',
            "hosts.1.ips.0",
        ),
        (
            '{"hosts": [{"ssh": "a", "ips": ["192.0.2.1"]}, {"ssh": "b", "ips": ["192.0.2.2"]}]}',
            "is not this machine",
        ),
    ],
)
def test_a_file_of_hosts_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "hosts.json"
    file.write_text(content)
    with pytest.raises(InputError, match=said):
        read_hosts(file)
