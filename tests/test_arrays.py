import ctypes
import os
import platform
import subprocess
import sys

import pytest

from OnPolicyDistill.arrays import (
    ANY_WIDTH,
    OPENBLAS_LIBRARY,
    TF32_VARIABLE,
    WIDTH_VARIABLE,
    go_by_breadth,
    has_cpu_wheel,
    openblas_loaded,
    refuse_tf32,
)

# Set by `make test-kernels`, which looks first whether the processor can run the kernel. What a
# machine sets in OPENBLAS_CORETYPE may be a kernel that OpenBLAS replaces.
KERNEL_VARIABLE = "OPD_TEST_KERNEL"

COUNT_FAULTS = """
import resource
import OnPolicyDistill.arrays
import mlx.core as mx

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def copy():
    mx.eval(mx.ones((16_000_000,)) + 1)

copy()
before = faults()
for _ in range(5):
    copy()
print(OnPolicyDistill.arrays.freed_memory_kept, faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_large_arrays_use_memory_that_was_freed_before():
    found = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, check=True
    )
    kept, faults = found.stdout.split()
    assert kept == "True"
    # Five copies of 64 MB are 78,000 pages when each is mapped anew.
    assert int(faults) < 20_000


@pytest.mark.skipif(not openblas_loaded, reason="there is no OpenBLAS here")
@pytest.mark.skipif(KERNEL_VARIABLE not in os.environ, reason="no kernel was asked for")
def test_the_kernel_that_was_asked_for_computes():
    name = ctypes.CDLL(OPENBLAS_LIBRARY).openblas_get_corename
    name.restype = ctypes.c_char_p
    assert name().decode().lower() == os.environ[KERNEL_VARIABLE].lower()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(None, False), ("0", False), ("1", True), (" 2", True), ("true", False), ("", False)],
)
def test_tf32_is_refused_unless_the_user_asks_for_it_as_mlx_reads_it(
    given: str | None, wanted: bool
) -> None:
    environment = {} if given is None else {TF32_VARIABLE: given}
    assert refuse_tf32(environment) is wanted
    assert environment[TF32_VARIABLE] == ("0" if given is None else given)


def test_tf32_is_refused_in_this_process_and_in_those_it_starts() -> None:
    assert os.environ[TF32_VARIABLE] == "0"


@pytest.mark.skipif(not has_cpu_wheel(), reason="a wheel for a GPU fills its one stream by depth")
def test_streams_of_one_graph_are_fed_at_once_unless_the_user_says_otherwise() -> None:
    assert os.environ[WIDTH_VARIABLE] == str(ANY_WIDTH)
    for given, goes in ((None, True), ("20", False)):
        environment = {} if given is None else {WIDTH_VARIABLE: given}
        assert go_by_breadth(environment) is goes
        assert environment[WIDTH_VARIABLE] == (given or str(ANY_WIDTH))


ENTRIES = {
    "commands": "from OnPolicyDistill.cli import app, device; device.load_mlx()",
    "playground": "import OnPolicyDistill.cli.playground",
    "exports": "import OnPolicyDistill.cli.exporting",
    "downloads": "import backend.downloads.worker",
    "schooling": "import OnPolicyDistill.demo.schooling",
    "benchmarks": "import benchmarks.suite",
    "one benchmark": "import benchmarks.sampling",
    "tests": "import tests.conftest",
}
# Imports each entry anew and stops at its first import of MLX, which costs no time: was the door
# opened before? Whatever an entry imports first is a name that the search finds.
FIRST_LOOK = """
import os, sys
from importlib.abc import MetaPathFinder

class Door(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("mlx", "mlx_lm"):
            raise InterruptedError(os.environ.get("MLX_ENABLE_TF32", "unset"))

sys.meta_path.insert(0, Door())
for entry in sys.argv[1:]:
    ours = ("OnPolicyDistill", "backend", "benchmarks", "tests")
    for name in [name for name in sys.modules if name.startswith(ours)]:
        del sys.modules[name]
    os.environ.pop("MLX_ENABLE_TF32", None)
    try:
        exec(entry)
        print("no MLX")
    except InterruptedError as found:
        print(found)
"""


def test_every_entry_comes_through_the_door_before_it_loads_mlx() -> None:
    command = [sys.executable, "-c", FIRST_LOOK, *ENTRIES.values()]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    first_looks = dict(zip(ENTRIES, found.stdout.splitlines(), strict=True))
    assert first_looks.pop("downloads") in ("0", "no MLX")
    assert set(first_looks.values()) == {"0"}
