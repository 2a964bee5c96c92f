"""A run against the memory that is free now, and the names of those who hold the rest."""

import subprocess
import sys

import pytest

from OnPolicyDistill.planning import free_memory
from OnPolicyDistill.planning.free_memory import (
    Holder,
    find_shortage,
    largest_holders,
    program_name,
    rank,
)

STUDIO = "/Applications/LM Studio.app/Contents/Frameworks/LM Studio Helper.app/Contents/MacOS/x"


@pytest.fixture
def machine(monkeypatch):
    """Sets what is free, who holds memory, and the system."""

    def pretend(free_gb, holders=(), system="Linux"):
        monkeypatch.setattr(free_memory, "available_bytes", lambda: round(free_gb * 1e9))
        monkeypatch.setattr(free_memory, "largest_holders", lambda: tuple(holders))
        monkeypatch.setattr(free_memory.platform, "system", lambda: system)

    return pretend


def test_a_run_that_fits_into_what_is_free_is_not_stopped(machine):
    machine(40)
    assert find_shortage(39.9) is None


def test_a_run_whose_needs_are_unknown_is_not_judged(machine):
    machine(0)
    assert find_shortage(None) is None


def test_a_run_that_needs_more_is_told_who_holds_it(machine):
    machine(30, [Holder("LM Studio", 41_000_000_000), Holder("Xcode", 6_000_000_000)])
    found = find_shortage(90)
    assert found.message == (
        "By forecast this run needs 90.0 GB, and 30.0 GB are free now. LM Studio holds 41 GB, "
        "Xcode holds 6 GB."
    )


def test_on_a_mac_what_others_hold_is_said_to_be_a_lower_bound(machine):
    machine(30, [Holder("LM Studio", 41_000_000_000)], "Darwin")
    assert "LM Studio holds at least 41 GB" in find_shortage(90).message


def test_nobody_is_blamed_where_nobody_holds_much(machine):
    machine(0.5)
    assert find_shortage(1.5).message.endswith("0.5 GB are free now.")


def test_processes_of_one_program_are_added_up_and_small_ones_left_out():
    found = rank([("a", 600_000_000), ("b", 3_000_000_000), ("a", 700_000_000), ("c", 9)])
    assert found == (Holder("b", 3_000_000_000), Holder("a", 1_300_000_000))


def test_at_most_three_are_named():
    assert len(rank((name, 2_000_000_000) for name in "abcde")) == 3


def test_helpers_go_by_the_app_that_they_lie_in():
    assert program_name(STUDIO, "LM Studio Helper") == "LM Studio"
    assert program_name("/usr/bin/ollama", "ollama") == "ollama"
    assert program_name("", "kernel_task") == "kernel_task"


def test_a_program_that_really_holds_memory_is_found(monkeypatch):
    monkeypatch.setattr(free_memory, "SMALLEST_HOLDER_BYTES", 50_000_000)
    monkeypatch.setattr(free_memory, "NAMED_HOLDERS", 1_000)
    code = "held = bytearray(b'x' * 120_000_000); print('held', flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        names = {holder.name: holder.num_bytes for holder in largest_holders()}
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert any(name.startswith("python") and size > 110_000_000 for name, size in names.items())


def test_what_is_free_is_a_part_of_the_machine():
    assert 0 < free_memory.available_bytes() < 1e14
