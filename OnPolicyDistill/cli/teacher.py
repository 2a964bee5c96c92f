"""`opd teacher`: what a teacher says, put on disk before a run asks for it."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.groups import CommandGroup
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    forget_terminal,
    print_json,
    print_note,
    print_text,
)
from OnPolicyDistill.cli.plan import AssignmentsOption
from OnPolicyDistill.errors import StoppedError

if TYPE_CHECKING:
    from OnPolicyDistill.runs.events import Event, PhaseChanged
    from OnPolicyDistill.training.ahead import ScoredAhead

SECONDS_BETWEEN_LINES = 5.0

app = typer.Typer(cls=CommandGroup, help="Put what a teacher says on disk.", no_args_is_help=True)


@app.callback()
def _options() -> None:
    """Put what a teacher says on disk."""


@app.command()
def score(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file or preset.")],
    *,
    assignments: AssignmentsOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Score ahead what a run will ask of its teacher; Ctrl-C loses nothing.

    Fills the config's teacher_cache_dir with scores of completions that come again, the teacher's
    own completions and held-out ones. What is there already is not asked again.
    """
    from OnPolicyDistill.cli.check import refuse_what_cannot_work
    from OnPolicyDistill.cli.settings import Given, load_settings
    from OnPolicyDistill.macos import awake
    from OnPolicyDistill.runs.reporting import StopRequest
    from OnPolicyDistill.training.ahead import place_ahead

    settings = load_settings(config, Given({}, assignments or ()))
    place = place_ahead(settings)
    for warning in refuse_what_cannot_work(settings, workspace or default_workspace()):
        print_note(f"Warning: {warning}")
    stop = StopRequest(on_hang_up=forget_terminal)
    with awake(), stop.on_signals():
        load_mlx()
        from OnPolicyDistill.trainers.on_policy import prepare
        from OnPolicyDistill.training.ahead import score_run_ahead

        try:
            done = score_run_ahead(place, prepare, Lines(), stop)
        except StoppedError as error:
            raise StoppedError(
                "Scoring was stopped; every row that was scored is on disk.",
                "The same command goes on from there.",
            ) from error
    shutil.rmtree(place.path)
    if json:
        print_json(asdict(done))
    else:
        print_text(_in_words(done))


class Lines:
    """An observer that prints how far it is, with the time left where something is counted."""

    def __init__(self) -> None:
        self._counted = ""
        self._began = (0.0, 0)
        self._said = float("-inf")

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if event.kind == "warning":
            print_note(f"Warning: {event.message} {event.action}".rstrip())
        if event.kind != "phase_changed" or not event.detail:
            return
        if event.total is None:
            print_note(event.detail)
            return
        now = time.monotonic()
        if event.detail != self._counted:
            self._counted, self._began = event.detail, (now, event.done or 0)
        if now - self._said >= SECONDS_BETWEEN_LINES or event.done == event.total:
            self._said = now
            print_note(f"{event.detail} {event.done}/{event.total}{self._left(event, now)}")

    def _left(self, event: PhaseChanged, now: float) -> str:
        from OnPolicyDistill.runs.wording import format_seconds

        began, first = self._began
        done, total = event.done or 0, event.total or 0
        if done <= first or done == total:
            return ""
        return f", {format_seconds((now - began) / (done - first) * (total - done))} left"


def _in_words(done: ScoredAhead) -> str:
    said = (
        f"{done.num_made} rows were scored, {done.num_found} were there; {done.folder} holds "
        f"{done.num_bytes / 1e6:.1f} MB."
    )
    if done.error is not None:
        said += f" Keeping them so costs {done.error:.2g} nats a token."
    return said
