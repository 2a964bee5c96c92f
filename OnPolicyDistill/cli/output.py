"""What commands print: results on stdout, everything about the work on stderr, JSON on request."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.tables import fitting, widths_of, wrap_column
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


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    spare: Sequence[str] = (),
    wrapped: str | None = None,
) -> None:
    """Print rows under their column names; nothing is cut.

    A terminal that is too narrow goes without the `spare` columns, in that order, and a note names
    them; then the column `wrapped` goes on in further lines.
    """
    width = _terminal_width()
    shown = list(columns) if width is None else fitting(columns, rows, spare, wrapped, width)
    places = [list(columns).index(name) for name in shown]
    table = [[row[place] for place in places] for row in (columns, *rows)]
    if width is not None and wrapped in shown:
        table = wrap_column(table, shown.index(wrapped), width)
    widths = widths_of(table)
    for row in table:
        print_text("  ".join(map(str.ljust, row, widths)).rstrip())
    left_out = [name for name in columns if name not in shown]
    if left_out:
        names = ", ".join(left_out)
        print_note(f"Left out, as the terminal has {width} columns: {names}. --json has all.")


def _terminal_width() -> int | None:
    """Characters in a line of the terminal that reads results; None where it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def count_of(number: int, nouns: str) -> str:
    """How many of what, the noun as one says it: 1 prompt, 2 prompts."""
    return f"{number} {nouns.removesuffix('s') if number == 1 else nouns}"


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names and values, one pair a line."""
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        print_text(f"{name:<{width}}  {value}")


def default_workspace() -> Path:
    """The workspace when no option names one; imported late because it needs pydantic."""
    from OnPolicyDistill.runs.directory import default_workspace as platform_workspace

    return platform_workspace()
