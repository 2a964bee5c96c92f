"""What commands that train ask before they start: is the memory free that the run needs?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.output import print_note
from OnPolicyDistill.errors import MemoryInUseError

if TYPE_CHECKING:
    from pathlib import Path

    from OnPolicyDistill.config import RunConfig

AnywayOption = Annotated[
    bool,
    typer.Option("--anyway", help="Start even if less memory is free than the run needs."),
]


def refuse_without_memory(
    config: RunConfig, anyway: bool, workspace: Path, num_processes: int = 1
) -> None:
    """Refuse to start a run that needs more memory than is free now; warn if it starts anyway.

    Each of `num_processes` needs as much. A run that cannot be forecast is not refused.

    Raises:
        MemoryInUseError: it needs more, and `anyway` is false.
    """
    from OnPolicyDistill.planning.free_memory import find_shortage
    from OnPolicyDistill.planning.starting import plan_start

    plan = plan_start(config, workspace)
    if plan is None:
        return
    shortage = find_shortage(plan.needed_gb * num_processes)
    if shortage is not None:
        if not anyway:
            action = (
                "Close what holds it and try again, or start with --anyway. "
                "opd plan says how to need less."
            )
            raise MemoryInUseError(shortage.message, action)
        print_note(f"Warning: {shortage.message} Starting anyway.")
    elif plan.verdict == "does_not_fit":
        print_note(
            f"Warning: By forecast this needs {plan.needed_gb:.1f} GB of the "
            f"{plan.limit_gb:.1f} GB that a run may use here. opd plan says what to change."
        )
