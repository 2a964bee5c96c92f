"""`opd runs`: list, show, report, watch and delete the runs of a workspace."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from OnPolicyDistill.cli.groups import CommandGroup
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    print_fields,
    print_json,
    print_note,
    print_table,
    print_text,
)
from OnPolicyDistill.cli.run_lines import (
    LATEST,
    after_text,
    describe_line,
    held_out_text,
    progress_text,
)
from OnPolicyDistill.errors import InputError, RunError

if TYPE_CHECKING:
    from OnPolicyDistill.runs.directory import RunDirectory
    from OnPolicyDistill.runs.events import Event

POLL_SECONDS = 0.5

app = typer.Typer(
    cls=CommandGroup, help="List, show, report, watch and delete runs.", no_args_is_help=False
)

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Id of a run, a beginning of it, its name, its folder, or latest."
    ),
]


@app.callback(invoke_without_command=True)
def list_by_default(
    context: typer.Context, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """List the runs of the workspace, newest first."""
    if context.invoked_subcommand is None:
        list_all(workspace, json)


@app.command("list")
def list_all(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """List the runs of the workspace, newest first."""
    from OnPolicyDistill.runs.directory import list_runs

    folder = workspace or default_workspace()
    lines = [describe_line(run) for run in list_runs(folder)]
    if json:
        print_json([asdict(line) for line in lines])
    elif not lines:
        print_note(f"No runs in {folder} yet. Start one with: opd train, or try: opd demo.")
    else:
        rows = [
            [
                line.name or line.run_id,
                line.state,
                progress_text(line),
                held_out_text(line.after),
                line.models or line.problem,
                line.run_id,
            ]
            for line in lines
        ]
        columns = ["run", "state", "steps", "held out", "models", "id"]
        print_table(columns, rows, spare=["models", "held out"], wrapped="run")


@app.command()
def show(run: RunArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Show one run: where it stands, its checkpoints and what is in its folder."""
    from OnPolicyDistill.runs.checkpoints import list_checkpoints, pointed
    from OnPolicyDistill.runs.history import fold
    from OnPolicyDistill.runs.log import read_events
    from OnPolicyDistill.runs.wording import tabulate_teachers

    found = open_run(run, workspace)
    line = describe_line(found)
    history = fold(read_events(found.events_file))
    shown = history.best or history.after
    by_teacher = () if shown is None else shown.by_teacher
    checkpoints = [path.name for path in list_checkpoints(found)]
    best, last = pointed(found, "best"), pointed(found, "last")
    if json:
        pointers = {
            "best": None if best is None else str(best),
            "last": None if last is None else str(last),
        }
        teachers = [figures.model_dump(mode="json") for figures in by_teacher]
        told = {**asdict(line), "checkpoints": checkpoints, **pointers}
        print_json({**told, "by_teacher": teachers} if teachers else told)
        return
    print_fields(
        {
            "run": line.run_id,
            "name": line.name or "-",
            "state": line.state,
            "steps": progress_text(line),
            "after": after_text(line.after),
            "models": line.models,
            "checkpoints": ", ".join(checkpoints) or "none yet",
            "best": "-" if best is None else str(best),
            "last": "-" if last is None else str(last),
            "folder": line.path,
        }
    )
    if by_teacher:
        print_text("")
        columns, *rows = tabulate_teachers(by_teacher)
        print_table(columns, rows)


@app.command()
def report(run: RunArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Write the report of a run again, print it and say where its plot is."""
    from OnPolicyDistill.evaluation.report import report_files, write_report

    found = open_run(run, workspace)
    text = write_report(found)
    files = [str(file) for file in report_files(found)]
    if json:
        print_json({"run_id": found.run_id, "text": text, "files": files})
    else:
        print_text(text)
        print_note("Written: " + ", ".join(files))


@app.command()
def watch(run: RunArgument, workspace: WorkspaceOption = None) -> None:
    """Follow a run until it ends; leaving with Ctrl-C does not disturb it."""
    from OnPolicyDistill.cli.narrator import Narrator
    from OnPolicyDistill.runs.forecast import read_forecast
    from OnPolicyDistill.runs.log import read_events_from
    from OnPolicyDistill.runs.pace import route_of

    found = open_run(run, workspace)
    route = route_of(found.config(), describe_line(found).num_steps)
    narrator = Narrator(route, read_forecast(found))
    offset = 0
    while True:
        # Asked before reading: what a worker wrote before it ended is read once more.
        working = found.state() == "running"
        last: Event | None = None
        for event, position in read_events_from(found.events_file, offset):
            offset, last = position, event
            line = narrator.tell(event)
            if line is not None:
                print_text(line)
        if not working and last is None:
            print_note(f"{found.run_id} is {found.state()}.")
            return
        time.sleep(POLL_SECONDS if last is None else 0)


@app.command()
def delete(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids or names of the runs.")],
    workspace: WorkspaceOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    for_good: Annotated[
        bool, typer.Option("--for-good", help="Remove them instead; there is no way back.")
    ] = False,
) -> None:
    """Move runs with checkpoints and logs to the trash, from which they can be restored."""
    from OnPolicyDistill.runs.called import called, called_and_id
    from OnPolicyDistill.runs.trash import put_in_trash

    found = [open_run(run, workspace, may_be_damaged=True) for run in runs]
    for run in found:
        if run.state() == "running":
            raise RunError(f"Run {called(run)} is running.", "Stop it before deleting it.")
    names = ", ".join(map(called_and_id, found))
    if not yes:
        asked = f"Delete {names} for good?" if for_good else f"Move {names} to the trash?"
        typer.confirm(asked, abort=True, err=True)
    for run in found:
        trashed = put_in_trash(run)
        if for_good:
            shutil.rmtree(trashed)
    print_note(f"Deleted {names}.")
    for run in () if for_good else found:
        print_note(f"Restore with: opd runs restore {run.run_id}")


@app.command()
def trash(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """List the deleted runs that can be restored, the last deleted first."""
    from OnPolicyDistill.runs.trash import trashed_runs

    folder = workspace or default_workspace()
    lines = [describe_line(run) for run in trashed_runs(folder)]
    if json:
        print_json([asdict(line) for line in lines])
    elif not lines:
        print_note(f"The trash of {folder} is empty.")
    else:
        rows = [
            [line.name or line.run_id, progress_text(line), line.models, line.run_id]
            for line in lines
        ]
        print_table(["run", "steps", "models", "id"], rows, spare=["models"], wrapped="run")


@app.command()
def restore(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id or name of a deleted run.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Take a deleted run out of the trash."""
    from OnPolicyDistill.runs.trash import restore as take_out

    back = take_out(workspace or default_workspace(), run)
    print_note(f"{back.run_id} is back in {back.path}.")


def open_run(name: str, workspace: Path | None, may_be_damaged: bool = False) -> RunDirectory:
    """Return a run: the `latest`, or by id, a beginning of it, its name or its folder.

    Archived runs are the latest only where there are no others.

    Raises:
        InputError: there is none.
        RunError: something in its folder leads elsewhere.
    """
    from OnPolicyDistill.runs.directory import RunDirectory
    from OnPolicyDistill.runs.soundness import check_folder

    folder = Path(name).expanduser()
    if RunDirectory(folder).is_there:
        found = RunDirectory(folder.resolve())
    elif "/" in name:
        raise InputError(f"{name} is not the folder of a run.", "List runs: opd runs.")
    else:
        found = _named_run(workspace or default_workspace(), name)
    if not may_be_damaged:
        check_folder(found)
    return found


def _named_run(workspace: Path, name: str) -> RunDirectory:
    """A run by id or a beginning of it; else by what it is called, which has to be one alone."""
    from OnPolicyDistill.runs.annotations import is_archived
    from OnPolicyDistill.runs.called import name_of
    from OnPolicyDistill.runs.directory import find_run, list_runs

    runs = list_runs(workspace)
    if name == LATEST and runs:
        return next((run for run in runs if not is_archived(run)), runs[0])
    if not any(run.run_id.startswith(name) for run in runs):
        alike = [run for run in runs if name_of(run) == name]
        if len(alike) > 1:
            ids = ", ".join(run.run_id for run in alike)
            raise InputError(f"{len(alike)} runs are called {name!r}: {ids}.", "Give an id.")
        if alike:
            return alike[0]
        _refuse_unknown(workspace, name, runs)
    return find_run(workspace, name)


def _refuse_unknown(workspace: Path, name: str, runs: Sequence[RunDirectory]) -> NoReturn:
    """Say that no run is called that, and which one is nearly."""
    from difflib import get_close_matches

    from OnPolicyDistill.runs.called import name_of

    if not runs:
        message = f"No run in {workspace} matches {name!r}: there is none yet."
        raise InputError(message, "Start one: opd train, or try: opd demo.")
    names = [LATEST, *filter(None, map(name_of, runs))]
    near = get_close_matches(name, names, 1)
    question = f" Is it {near[0]!r}?" if near else ""
    raise InputError(f"No run in {workspace} matches {name!r}.{question}", "List them: opd runs.")
