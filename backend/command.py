"""The `opd` command whole: the library's commands and those that need the backend.

This is where both may be known. The library's own `python -m OnPolicyDistill` is everything but
these two; a worker is started with it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from OnPolicyDistill.cli.app import app, main
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    print_json,
    print_note,
    print_text,
)
from OnPolicyDistill.cli.runs import app as runs_app


@app.command()
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
    from backend.server import serve as serve_workspace

    folder = workspace or default_workspace()
    raise typer.Exit(serve_workspace(folder, port, open_page and not json, json))


@app.command("serve-teacher")
def serve_teacher(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Alias, hub id or folder of the teacher.")
    ],
    *,
    host: Annotated[
        str, typer.Option(help="Address of this machine that others reach it by.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 lets the system choose a free one.")
    ] = 0,
    token: Annotated[
        str | None,
        typer.Option(
            help="What callers must send; better in $OPD_TEACHER_TOKEN, which no list of "
            "processes shows. Left out: one is made and shown."
        ),
    ] = None,
    batch_tokens: Annotated[
        int, typer.Option(min=256, max=1_000_000, help="Tokens read at once; bounds memory.")
    ] = 16_384,
    json: Annotated[bool, typer.Option("--json", help="Say in one JSON line when ready.")] = False,
) -> None:
    """Serve a teacher to students on other machines, until Ctrl-C."""
    if not json:
        print_note(f"Loading {model} ...")
    from OnPolicyDistill.cli.device import load_mlx

    load_mlx()
    from backend.teaching.server import TeacherOptions
    from backend.teaching.server import serve_teacher as serve_with

    serve_with(
        TeacherOptions(
            model=model,
            host=host,
            port=port,
            token=token,
            batch_tokens=batch_tokens,
            ready_json=json,
        )
    )


@runs_app.command()
def reindex(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Build the index that the screen searches again from the run folders."""
    from backend.history.index import reindex as reindex_workspace

    num_runs = reindex_workspace(workspace or default_workspace())
    if json:
        print_json({"runs": num_runs})
    else:
        print_text(f"{num_runs} runs are in the index.")


if __name__ == "__main__":
    main()
