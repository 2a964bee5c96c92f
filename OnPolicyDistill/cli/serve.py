"""`opd serve`: the local backend and its page; the library itself knows nothing of the web."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from OnPolicyDistill.cli.output import WorkspaceOption, default_workspace, print_note


def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 lets the system choose a free one.")
    ] = 0,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the browser.")] = True,
    workspace: WorkspaceOption = None,
    json: Annotated[bool, typer.Option("--json", help="Say in one JSON line when ready.")] = False,
) -> None:
    """Serve the screen on this machine, for this user only, until Ctrl-C."""
    if not json:
        print_note("Starting the screen ...")
    # By name, not by an import statement: imports from the library to the web are forbidden.
    server = importlib.import_module("backend.server")
    folder = workspace or default_workspace()
    raise typer.Exit(server.serve(folder, port, open_page and not json, json))
