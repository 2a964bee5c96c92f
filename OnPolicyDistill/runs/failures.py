"""Any exception that ends a run, as its log tells it: a code, what happened, what can be done."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from pydantic import ValidationError

from OnPolicyDistill.errors import DiskFullError, DistillError
from OnPolicyDistill.gpu import SMALLER

REPORT_IT = (
    "Resume the run; if it happens again, report it with the run's log.txt and the workspace's "
    "errors.log."
)
SHOWN_CHARACTERS = 300
# What MLX says, as RuntimeError, where memory is at its end; std::bad_alloc becomes MemoryError.
_OUT_OF_MEMORY = re.compile(r"\[(metal::)?malloc\w*\]|insufficient memory", re.IGNORECASE)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run ended: `code` is a stable word for programs, the rest is for people."""

    code: str
    message: str
    action: str


def describe_failure(error: BaseException) -> Failure:
    """Say in words what an exception means for the run that it ends."""
    if isinstance(error, DistillError):
        return Failure(error.code, error.message, error.action)
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return Failure("memory", f"There was no memory left ({_said(error)}).", SMALLER)
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, SystemExit):
        message = f"Its program ended itself with exit code {error.code}."
        return Failure("exited", message, REPORT_IT)
    name = type(error).__name__
    return Failure(
        "unexpected", f"Something unexpected happened ({name}: {_said(error)}).", REPORT_IT
    )


def _of_system(error: OSError) -> Failure:
    named = "" if error.filename is None else f"{error.filename}: "
    if error.errno in _FULL:
        message = f"{named}the disk is full."
        return Failure(DiskFullError.code, message, "Free some space and resume the run.")
    message = f"{named}{error.strerror or _said(error)}."
    return Failure("system", message, "Check that it is there and yours, and resume the run.")


def _said(error: BaseException) -> str:
    """The first line of what an exception says; of a validation, its first problem."""
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"[:SHOWN_CHARACTERS]
    lines = str(error).strip().splitlines()
    return lines[0][:SHOWN_CHARACTERS] if lines else "no message"
