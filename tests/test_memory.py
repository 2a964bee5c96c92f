"""What MLX may hold on machines of all sizes; Metal's own figures are emulated."""

from __future__ import annotations

import ast
import platform
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.memory import SYSTEM_BYTES, device_limits, prepare_device

GIB = 2**30
# As macOS recommends: two thirds of small memories, three quarters of large ones.
SMALL, MEDIUM, LARGE, HUGE = (16 * GIB, 64 * GIB, 128 * GIB, 512 * GIB)
RECOMMENDED = {
    SMALL: round(10.7 * GIB),
    MEDIUM: 48 * GIB,
    LARGE: 96 * GIB,
    HUGE: 384 * GIB,
}


@pytest.mark.parametrize("memory", list(RECOMMENDED))
def test_weights_of_at_most_half_of_memory_are_not_wired(memory: int) -> None:
    limits = device_limits(memory, RECOMMENDED[memory], memory // 2)
    assert limits.wired == 0


@pytest.mark.parametrize("memory", [MEDIUM, LARGE, HUGE])
def test_larger_weights_are_wired_and_nothing_else_is(memory: int) -> None:
    weights = round(0.6 * memory)
    assert device_limits(memory, RECOMMENDED[memory], weights).wired == weights


@pytest.mark.parametrize("memory", list(RECOMMENDED))
def test_the_working_set_is_never_exceeded(memory: int) -> None:
    limits = device_limits(memory, RECOMMENDED[memory], memory)
    assert limits.wired == limits.memory <= RECOMMENDED[memory]


@pytest.mark.parametrize("memory", [MEDIUM, LARGE, HUGE])
def test_a_raised_working_set_is_used_but_leaves_8_gb_to_the_system(memory: int) -> None:
    limits = device_limits(memory, memory - GIB, round(0.95 * memory))
    assert limits.memory == memory - SYSTEM_BYTES
    assert limits.wired <= limits.memory


def test_a_raised_working_set_of_a_small_mac_leaves_half_to_the_system() -> None:
    assert device_limits(SMALL, 14 * GIB, 10 * GIB).memory == SMALL - SYSTEM_BYTES
    assert device_limits(8 * GIB, 7 * GIB, 6 * GIB).memory == 4 * GIB


@pytest.mark.parametrize("memory", list(RECOMMENDED))
def test_the_buffer_cache_is_bounded_and_not_empty(memory: int) -> None:
    limits = device_limits(memory, RECOMMENDED[memory], GIB)
    assert 0 < limits.cache <= memory // 16


class Metal:
    """Stands in for MLX's Metal: tells its sizes, keeps the limits, refuses as MLX does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, memory: int, working_set: int) -> None:
        self.limits: dict[str, int] = {}
        self._working_set = working_set
        told = {"memory_size": memory, "max_recommended_working_set_size": working_set}
        monkeypatch.setattr(mx, "device_info", lambda: told)
        for name in ("wired", "memory", "cache"):
            monkeypatch.setattr(
                mx, f"set_{name}_limit", lambda limit, name=name: self._set(name, limit)
            )

    def _set(self, name: str, limit: int) -> int:
        if name == "wired" and limit > self._working_set:
            raise ValueError("Setting a wired limit larger than the working set is not allowed.")
        self.limits[name] = limit
        return 0


def test_metal_is_told_all_three_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    metal = Metal(monkeypatch, LARGE, RECOMMENDED[LARGE])
    prepare_device(80 * GIB)
    assert metal.limits == {
        "wired": 80 * GIB,
        "memory": 96 * GIB,
        "cache": int(0.05 * 96 * GIB),
    }
    prepare_device(4 * GIB)
    assert metal.limits["wired"] == 0


def test_weights_beyond_the_working_set_do_not_break_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metal = Metal(monkeypatch, LARGE, RECOMMENDED[LARGE])
    prepare_device(200 * GIB)
    assert metal.limits["wired"] == 96 * GIB


def test_without_metal_mlx_keeps_its_own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    metal = Metal(monkeypatch, LARGE, RECOMMENDED[LARGE])
    monkeypatch.setattr(mx, "device_info", lambda: {"device_name": "CPU"})
    prepare_device(80 * GIB)
    assert metal.limits == {}


def calls(file: Path) -> set[str]:
    """Names that a source file calls or imports, with the module they come from."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call):
            found.add(ast.unparse(node.func))
    return found


def test_whoever_loads_a_model_sets_the_limits() -> None:
    loaders = {"mlx_lm.utils.load_model", "mlx_lm.utils.load", "mlx_lm.load", "mlx_lm.utils.fetch"}
    root = Path(__file__).resolve().parents[1]
    files = [
        file for room in ("OnPolicyDistill", "backend") for file in (root / room).rglob("*.py")
    ]
    assert [file.name for file in files if calls(file) & loaders] == ["loading.py"]
    # Surgery puts a model together of the weights of two, and sets the limits for it itself.
    preparing = {file.name for file in files if "prepare_device" in calls(file)}
    assert preparing == {"loading.py", "surgery.py"}


GIVE_BACK = """
import psutil
import OnPolicyDistill.arrays
from OnPolicyDistill.memory import release_buffers
import mlx.core as mx

def held():
    return psutil.Process().memory_info().rss

# What stays lies behind what goes, so that the heap cannot simply end earlier.
goes = mx.arange(32_000_000) + 1
mx.eval(goes)
stays = mx.arange(100_000) + 1
mx.eval(stays)
del goes
before = held()
release_buffers()
print(before - held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_what_the_c_library_keeps_goes_back_to_the_system_too() -> None:
    found = subprocess.run(
        [sys.executable, "-c", GIVE_BACK], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) > 100_000_000


def test_buffers_are_given_back_between_phases_only() -> None:
    root = Path(__file__).resolve().parents[1] / "OnPolicyDistill"
    clearing = {file.name for file in root.rglob("*.py") if "mx.clear_cache" in calls(file)}
    assert clearing == {"memory.py"}
    releasing = {file.name for file in root.rglob("*.py") if "release_buffers" in calls(file)}
    assert releasing == {"loading.py", "playground.py"}
