"""Every error a user can meet: one or two sentences that say what happened and what to do.

DistillError                exit 1: the work failed
|- InputError               exit 2: what the user gave is wrong
|  |- ConfigError           a setting; knows the field's location
|  |- DatasetError          a prompt or conversation file; knows file and line
|  |- ModelError            a model folder, alias or hub id that cannot be used
|  |- PairError             teacher and student do not fit together
|  `- MemoryInUseError      others hold the memory that the run needs
|- RunError                 a run that cannot go on
|  |- DiskFullError         no room for the next checkpoint
|  |- GpuError              the GPU refused or ended the work; its code is the cause
|  |  `- GpuInterruptedError   exit 75: it may succeed in another process, which the parent starts
|  |- RankLostError         another rank of the run is gone
|  |- ProofError            the proof of learning failed: the trainer would not train
|  `- DivergedError         loss or gradient stopped being a number
|- OutputError              what is printed cannot be written
`- StoppedError             exit 130: the user stopped it
"""

from __future__ import annotations

from pathlib import Path


class DistillError(Exception):
    """What happened, and what the user can do; shown without a traceback."""

    exit_code = 1
    code = "failed"

    def __init__(self, message: str, action: str = "") -> None:
        super().__init__(message if not action else f"{message} {action}")
        self.message = message
        self.action = action


class InputError(DistillError):
    """The user's input is wrong."""

    exit_code = 2
    code = "invalid_input"


class ConfigError(InputError):
    """A setting is wrong; `locations` are dotted field paths with one sentence each."""

    code = "invalid_config"

    def __init__(
        self, message: str, action: str = "", locations: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message, action)
        self.locations = locations


class DatasetError(InputError):
    """A data file is wrong; names the file and, where there is one, the 1-based line.

    `what` is the message without file and line, for whoever says those beside it.
    """

    code = "invalid_dataset"

    def __init__(
        self, message: str, action: str = "", path: Path | None = None, line: int | None = None
    ) -> None:
        where = (
            "" if path is None else f"{path}" + ("" if line is None else f", line {line}") + ": "
        )
        super().__init__(f"{where}{message}", action)
        self.what = message
        self.path = path
        self.line = line


class ModelError(InputError):
    """A model cannot be found, read or used."""

    code = "invalid_model"


class PairError(InputError):
    """Teacher and student do not speak the same tokens."""

    code = "incompatible_pair"


class MemoryInUseError(InputError):
    """A run needs more memory than is free now; it can be started anyway."""

    code = "memory_in_use"


class RunError(DistillError):
    """A run cannot start or go on."""

    code = "run_failed"


class DiskFullError(RunError):
    """The disk has no room for what has to be written; nothing written before is lost."""

    code = "disk_full"


class GpuError(RunError):
    """The GPU refused or ended the work; `code` is the cause (gpu.py)."""

    def __init__(self, message: str, action: str, code: str) -> None:
        super().__init__(message, action)
        self.code = code


class GpuInterruptedError(GpuError):
    """The GPU ended the work, and whoever started this process tries it again in another one."""

    exit_code = 75


class RankLostError(RunError):
    """Another rank of the run is gone; what was learned up to the last step is kept."""

    code = "rank_lost"


class ProofError(RunError):
    """The proof of learning failed, so the run was stopped before it could pretend."""

    code = "proof_failed"


class DivergedError(RunError):
    """Loss or gradient stopped being a finite number."""

    code = "diverged"


class OutputError(DistillError):
    """What a command prints cannot be written where its output goes."""

    code = "output"


class StoppedError(DistillError):
    """The user asked the run to stop; its last checkpoint is intact."""

    exit_code = 130
    code = "stopped"
