"""`opd pipeline`: several runs as one piece of work, from the file to the final table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.groups import CommandGroup
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    forget_terminal,
    print_fields,
    print_json,
    print_note,
    print_table,
    print_text,
)
from OnPolicyDistill.cli.starting import AnywayOption

if TYPE_CHECKING:
    from OnPolicyDistill.pipelines.directory import PipelineDirectory
    from OnPolicyDistill.pipelines.status import PipelineStatus, StageStatus

app = typer.Typer(
    cls=CommandGroup,
    help="Run stages that hand their adapters on, and compare what comes of it.",
    no_args_is_help=True,
)

PipelineArgument = Annotated[
    str, typer.Argument(metavar="PIPELINE", help="Id, a beginning of it, or latest.")
]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML file, or a shipped name.")],
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Repeat every stage, also those finished before.")
    ] = False,
    anyway: AnywayOption = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Run a pipeline until its table stands; Ctrl-C pauses it. The same again goes on with it."""
    from OnPolicyDistill.pipelines.beginning import begin_pipeline, begun_before, settled_pipeline
    from OnPolicyDistill.pipelines.reading import read_source

    folder = workspace or default_workspace()
    settings = settled_pipeline(read_source(file))
    pipeline = None if fresh else begun_before(folder, settings)
    if pipeline is None:
        pipeline, warnings = begin_pipeline(folder, settings, fresh)
        for warning in warnings:
            print_note(f"Warning: {warning}")
    else:
        print_note(f"It was begun before: going on with {pipeline.pipeline_id}.")
    work_on(pipeline, anyway)
    tell(pipeline, json)


@app.command()
def resume(
    pipeline: PipelineArgument = "latest",
    *,
    anyway: AnywayOption = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Go on with a pipeline that was paused, killed, or failed in a stage."""
    found = open_pipeline(pipeline, workspace)
    work_on(found, anyway)
    tell(found, json)


@app.command()
def status(
    pipeline: PipelineArgument = "latest",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Show the stages of a pipeline: how far each is, how long it took, how long the rest takes."""
    from OnPolicyDistill.pipelines.status import status_of

    told = status_of(open_pipeline(pipeline, workspace))
    if json:
        print_json(told.model_dump(mode="json"))
    else:
        print_status(told)


@app.command("list")
def list_all(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """List the pipelines of the workspace, newest first."""
    from OnPolicyDistill.pipelines.directory import list_pipelines
    from OnPolicyDistill.pipelines.status import status_of

    folder = workspace or default_workspace()
    told = [status_of(pipeline) for pipeline in list_pipelines(folder)]
    if json:
        print_json([one.model_dump(mode="json") for one in told])
    elif not told:
        print_note(f"No pipelines in {folder} yet. Try: opd demo pipeline.")
    else:
        rows = [
            [one.pipeline_id, one.state, f"{one.num_finished}/{len(one.stages)}", one.name]
            for one in told
        ]
        print_table(["pipeline", "state", "stages", "name"], rows)


@app.command()
def report(
    pipeline: PipelineArgument = "latest",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Write the final table of a finished pipeline again and print it."""
    from OnPolicyDistill.pipelines.beginning import write_again

    found = open_pipeline(pipeline, workspace)
    table = write_again(found)
    if json:
        print_json(table.model_dump(mode="json"))
    else:
        print_text((found.path / "table.txt").read_text(encoding="utf-8").rstrip())
        print_note(f"Written: table.json, table.csv, table.txt and table.png in {found.path}")


def open_pipeline(name: str, workspace: Path | None) -> PipelineDirectory:
    """Return a pipeline of the workspace by its id, a beginning of it, or as the latest."""
    from OnPolicyDistill.pipelines.directory import find_pipeline

    return find_pipeline(workspace or default_workspace(), name)


def work_on(pipeline: PipelineDirectory, anyway: bool) -> None:
    """Work on a pipeline until it ends, in this process and those of its stages.

    Raises:
        StoppedError: it was paused and can be resumed.
        DistillError: a stage failed; its state says so too.
    """
    from OnPolicyDistill.cli.pipeline_lines import StageLines
    from OnPolicyDistill.macos import awake
    from OnPolicyDistill.pipelines.runner import Launch, Runner
    from OnPolicyDistill.runs.reporting import StopRequest

    stop = StopRequest(on_hang_up=forget_terminal)
    with awake(), stop.on_signals():
        Runner(pipeline, StageLines(), stop, Launch(anyway)).run()


def tell(pipeline: PipelineDirectory, json: bool) -> None:
    """Print what came of a finished pipeline."""
    from OnPolicyDistill.pipelines.status import status_of
    from OnPolicyDistill.pipelines.table import read_table

    told, table = status_of(pipeline), read_table(pipeline)
    if json:
        values = None if table is None else table.model_dump(mode="json")
        print_json({**told.model_dump(mode="json"), "table": values})
        return
    if table is None:
        print_status(told)
        return
    print_text((pipeline.path / "table.txt").read_text(encoding="utf-8").rstrip())
    print_note(f"The table is in {pipeline.path} as table.json, .csv, .txt and .png")


def print_status(told: PipelineStatus) -> None:
    """Print how a pipeline stands, stage by stage."""
    from OnPolicyDistill.runs.wording import format_seconds

    fields = {
        "pipeline": told.pipeline_id,
        "name": told.name,
        "state": told.state,
        "stages": f"{told.num_finished} of {len(told.stages)} finished",
        "took": format_seconds(told.seconds),
    }
    if told.state != "finished":
        known = told.left_seconds
        fields["left"] = "not known" if known is None else f"about {format_seconds(known)}"
    if told.message:
        fields["why"] = f"{told.message} {told.action}".rstrip()
    print_fields(fields)
    print_text("")
    print_table(["stage", "state", "steps", "took", "left", "run"], [*map(_cells, told.stages)])


def _cells(stage: StageStatus) -> list[str]:
    from OnPolicyDistill.runs.wording import format_seconds

    left = stage.left_seconds
    return [
        stage.name,
        "finished before" if stage.taken_over and stage.state == "finished" else stage.state,
        f"{stage.step}/{stage.num_steps}" if stage.num_steps else "",
        "" if stage.seconds is None else format_seconds(stage.seconds),
        "" if not left else format_seconds(left),
        stage.run_id or "",
    ]
