"""What a Mac says of itself, emulated by programs that print what those of macOS do."""

import pytest

from OnPolicyDistill import machine
from OnPolicyDistill.machine import Mac, parse_version, processor_name, raised_gpu_limit, this_mac

REGISTRY = """+-o AGXAcceleratorG16X  <class AGXAcceleratorG16X, id 0x1000009d1, registered>
    {
      "gpu-core-count" = 32
      "MetalPluginName" = "AGXMetalG16X"
    }
"""


@pytest.fixture
def mac(monkeypatch, tmp_path):
    """Makes this machine look like a Mac whose programs print what they are told to."""

    def pretend(brand="Apple M4 Max", registry=REGISTRY, limit="0"):
        answers = {"brand": brand, "registry": registry, "limit": limit}
        for name, text in answers.items():
            (tmp_path / name).write_text(text)
        sysctl = tmp_path / "sysctl"
        sysctl.write_text(
            f'#!/bin/sh\nif [ "$2" = machdep.cpu.brand_string ]; then cat {tmp_path}/brand\n'
            f"else cat {tmp_path}/limit; fi\n"
        )
        ioreg = tmp_path / "ioreg"
        ioreg.write_text(f"#!/bin/sh\ncat {tmp_path}/registry\n")
        for program in (sysctl, ioreg):
            program.chmod(0o755)
        monkeypatch.setattr(machine, "SYSCTL", (str(sysctl), "-n"))
        monkeypatch.setattr(machine, "IOREG", (str(ioreg), "-r"))
        monkeypatch.setattr(machine.platform, "system", lambda: "Darwin")
        monkeypatch.setattr(machine.platform, "machine", lambda: "arm64")
        monkeypatch.setattr(machine.platform, "mac_ver", lambda: ("26.3.1", ("", "", ""), "arm64"))
        this_mac.cache_clear()

    yield pretend
    this_mac.cache_clear()


def test_a_mac_names_its_chip_and_counts_its_gpu_cores(mac):
    mac()
    assert this_mac() == Mac("Apple M4 Max", 32, (26, 3, 1))
    assert processor_name() == "Apple M4 Max (32 GPU cores)"


def test_a_mac_that_says_nothing_is_still_a_mac(mac):
    mac(brand="", registry="")
    assert this_mac() == Mac("", None, (26, 3, 1))
    assert processor_name() == "arm64"


def test_a_program_that_is_missing_or_fails_says_nothing(mac, monkeypatch):
    mac()
    monkeypatch.setattr(machine, "IOREG", ("/nowhere/ioreg",))
    monkeypatch.setattr(machine, "SYSCTL", ("/bin/false",))
    assert this_mac() == Mac("", None, (26, 3, 1))
    assert raised_gpu_limit() is None


@pytest.mark.parametrize(("said", "expected"), [("0", None), ("", None), ("98304", 96 * 2**30)])
def test_a_limit_of_the_gpu_that_was_raised_is_read(mac, said, expected):
    mac(limit=said)
    assert raised_gpu_limit() == expected


def test_another_machine_is_no_mac(monkeypatch):
    monkeypatch.setattr(machine.platform, "system", lambda: "Linux")
    this_mac.cache_clear()
    assert this_mac() is None
    assert raised_gpu_limit() is None
    this_mac.cache_clear()


def test_versions_are_compared_by_their_numbers():
    assert parse_version("26.10") > parse_version("26.2")
    assert parse_version("") == ()
