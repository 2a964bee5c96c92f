import platform
import subprocess
import sys

import pytest

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
