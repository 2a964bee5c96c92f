"""The process that trains one embedded model: `python -m OnPolicyDistill.demo.schooling RUN`."""

from __future__ import annotations

import sys
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.trainers.sft import train

if __name__ == "__main__":
    train(RunDirectory(Path(sys.argv[1])))
