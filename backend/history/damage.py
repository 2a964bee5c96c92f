"""The guard around each run: what a damaged folder can make reading it raise, and how it is shown.

A folder of runs may hold anything. One that cannot be read is listed with the reason, and costs the
others nothing.
"""

from __future__ import annotations

from backend.history.digest import MAX_WORDS
from backend.history.summary import created_time
from backend.history.views import RunSummary
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.runs.directory import RunDirectory

# What Python raises at data that is not as it was written. No programming of ours should lead to
# any of them, but one run's folder is too little to end the work on all others for.
DAMAGE = (
    DistillError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)


def damaged(run: RunDirectory, reason: BaseException) -> RunSummary:
    """Make the entry of a run that cannot be read at all: where it is, and why."""
    said = str(reason) if isinstance(reason, DistillError) else f"{type(reason).__name__}: {reason}"
    return RunSummary(
        run_id=run.run_id,
        name=run.run_id,
        method="unknown",
        state="interrupted",
        created=created_time(run),
        student="",
        damage=said.encode("utf-8", "replace").decode()[:MAX_WORDS],
    )
