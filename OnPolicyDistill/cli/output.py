"""What commands print: results on stdout, everything about the work on stderr, JSON on request."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="Folder with runs and adapters; else $OPD_WORKSPACE, else the platform's data folder.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def work_console() -> Console:
    """Where progress and tables of it go, so that results can be piped."""
    from rich.console import Console

    return Console(stderr=True)


def print_text(text: str) -> None:
    """Print a result as it is.

    Raises:
        OutputError: what the output leads to takes no more.
    """
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise  # whoever read has read enough
    except OSError as error:
        raise OutputError(
            f"What this command prints could not be written ({error.strerror}).",
            "Look at where its output goes.",
        ) from error


def print_note(text: str) -> None:
    """Say something about the work, or why it failed, on stderr; nothing depends on it."""
    with suppress(OSError):
        typer.echo(text, err=True)


def forget_terminal() -> None:
    """After a terminal was closed: let what is still written to it go nowhere, without an error."""
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream)
            os.close(nowhere)


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    print_text(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their column names; nothing is cut."""
    table = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(columns))]
    for row in table:
        print_text("  ".join(map(str.ljust, row, widths)).rstrip())


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names and values, one pair a line."""
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        print_text(f"{name:<{width}}  {value}")


def default_workspace() -> Path:
    """The workspace when no option names one; imported late because it needs pydantic."""
    from OnPolicyDistill.runs.directory import default_workspace as platform_workspace

    return platform_workspace()
