"""The opd command: what it knows, and how it ends.

Exit codes: 0 done, 1 failed, 2 the user's input is wrong, 130 stopped. Errors are one or two
sentences on stderr; a traceback is shown with --debug only.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from OnPolicyDistill.cli.bench import bench
from OnPolicyDistill.cli.check import check
from OnPolicyDistill.cli.compare import compare
from OnPolicyDistill.cli.data import app as data_app
from OnPolicyDistill.cli.demo import app as demo_app
from OnPolicyDistill.cli.doctor import doctor
from OnPolicyDistill.cli.evaluate import evaluate
from OnPolicyDistill.cli.export import export, fuse
from OnPolicyDistill.cli.generate import generate
from OnPolicyDistill.cli.graft import graft
from OnPolicyDistill.cli.groups import CommandGroup
from OnPolicyDistill.cli.hosts import app as hosts_app
from OnPolicyDistill.cli.models import app as models_app
from OnPolicyDistill.cli.output import default_workspace, print_note, print_text
from OnPolicyDistill.cli.pipeline import app as pipeline_app
from OnPolicyDistill.cli.plan import plan
from OnPolicyDistill.cli.presets import presets
from OnPolicyDistill.cli.rank import rank
from OnPolicyDistill.cli.runs import app as runs_app
from OnPolicyDistill.cli.teacher import app as teacher_app
from OnPolicyDistill.cli.training import resume, train
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.files import make_private
from OnPolicyDistill.gpu import find_gpu_failure

DEBUG = "--debug"
ERROR_LOG = "errors.log"


class Commands(CommandGroup):
    """Commands in the order of a first day: what there is, a run, what came of it, the rest."""

    first = (
        *("demo", "doctor", "serve", "presets", "models", "data"),
        *("plan", "check", "train", "resume", "runs"),
        *("generate", "evaluate", "compare", "export", "fuse", "pipeline"),
    )


app = typer.Typer(
    cls=Commands,
    name="opd",
    help="Distil a large local language model into a small one, on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed_version

        print_text(f"OnPolicyDistill {installed_version('onpolicydistill')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="Show the traceback of an error; works behind any command.")
    ] = False,
) -> None:
    """Distil a large local language model into a small one, on this machine."""


app.add_typer(demo_app, name="demo")
app.command()(train)
app.command()(resume)
app.command()(plan)
app.command()(check)
app.command()(generate)
app.command()(evaluate)
app.command()(compare)
app.command()(fuse)
app.command()(export)
app.command()(graft)
app.command()(bench)
app.command()(presets)
app.add_typer(runs_app, name="runs")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")
app.add_typer(pipeline_app, name="pipeline")
app.command()(doctor)
app.command(hidden=True)(rank)
app.add_typer(hosts_app, name="hosts")
app.add_typer(teacher_app, name="teacher")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = DEBUG in given
    try:
        app([argument for argument in given if argument != DEBUG], prog_name="opd")
    except DistillError as error:
        if debug:
            traceback.print_exc()
        print_note(f"opd: {error}")
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            traceback.print_exc()
        print_note(_explain(error, debug))
        sys.exit(1)
    sys.exit(0)


def _explain(error: Exception, debug: bool) -> str:
    """Say what happened without pretending to know why, and where the rest can be read."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"opd: {error.filename}: {error.strerror}. Check that it exists and is yours."
    failure = find_gpu_failure(str(error))
    if failure is not None:
        return f"opd: {failure.message} {failure.action}"
    first_line = (str(error).strip() or "no message").splitlines()[0]
    what = f"opd: Something unexpected happened ({type(error).__name__}: {first_line})."
    if debug:
        return what
    log = default_workspace() / ERROR_LOG
    try:
        make_private(log.parent)
        with log.open("a", encoding="utf-8") as stream:
            traceback.print_exc(file=stream)
    except OSError:
        return f"{what} Run it again with {DEBUG} to see the traceback."
    return f"{what} The traceback is in {log}; {DEBUG} shows it here."
