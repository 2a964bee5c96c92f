"""What every demonstration's command does around its run: memory, progress, stops, the report."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from OnPolicyDistill.cli.output import default_workspace, print_note
from OnPolicyDistill.cli.run_lines import typed
from OnPolicyDistill.cli.starting import refuse_without_memory

if TYPE_CHECKING:
    from OnPolicyDistill.config import RunConfig
    from OnPolicyDistill.runs.directory import RunDirectory
    from OnPolicyDistill.runs.reporting import Observer, StopRequest


class Told(Protocol):
    """What a demonstration measured."""

    @property
    def run_id(self) -> str:
        """The run that it is about."""


R = TypeVar("R", bound=Told)


def play(
    config: RunConfig,
    run_demo: Callable[[Path, Observer | None, StopRequest | None], R],
    anyway: bool,
    workspace: Path | None,
) -> tuple[R, RunDirectory]:
    """Run a demonstration under a person's eyes and write its run's report.

    Raises:
        InputError: it needs more memory than is free, and `anyway` is off.
        DistillError: the run failed; its log says why.
    """
    from OnPolicyDistill.cli.progress import watched
    from OnPolicyDistill.config import num_steps_of
    from OnPolicyDistill.evaluation.report import write_report
    from OnPolicyDistill.macos import awake
    from OnPolicyDistill.runs.directory import find_run
    from OnPolicyDistill.runs.pace import route_of
    from OnPolicyDistill.runs.reporting import StopRequest

    folder = workspace or default_workspace()
    refuse_without_memory(config, anyway, folder)
    route = route_of(config, num_steps_of(config))
    stop = StopRequest()
    with awake(), stop.on_signals(), watched(route, None) as observer:
        result = run_demo(folder, observer, stop)
    run = find_run(folder, result.run_id)
    write_report(run)
    return result, run


def print_next(run: RunDirectory) -> None:
    """What to type after the first success, and how `opd` is found where it is not."""
    name = typed(run)
    print_note("")
    print_note("Next:")
    print_note(f'  opd generate --run {name} --compare --prompt "9 Apr 66, five past ten at night"')
    print_note(f"  opd export {name} --out dates-adapter")
    print_note("  opd serve                     the same on a page, in your browser")
    print_note("  opd check demo --prompts FILE --validation FILE    with lines of your own")
    if shutil.which("opd") is None:
        folder = Path(sys.argv[0]).resolve().parent
        print_note(f'The terminal finds opd after: export PATH="{folder}:$PATH"')
