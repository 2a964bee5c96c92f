import ctypes
import os
import platform
import subprocess
import sys

import pytest

from OnPolicyDistill.arrays import OPENBLAS_LIBRARY, openblas_loaded

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
@pytest.mark.skipif("OPENBLAS_CORETYPE" not in os.environ, reason="no kernel was asked for")
def test_the_kernel_that_was_asked_for_computes():
    name = ctypes.CDLL(OPENBLAS_LIBRARY).openblas_get_corename
    name.restype = ctypes.c_char_p
    assert name().decode().lower() == os.environ["OPENBLAS_CORETYPE"].lower()
