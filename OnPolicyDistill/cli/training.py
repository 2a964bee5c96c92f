"""`opd train` and `opd resume`: one worker, its progress, its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.device import load_mlx
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
from OnPolicyDistill.cli.ranks import (
    BackendOption,
    HostsOption,
    RanksOption,
    chosen_places,
    ranks_here,
    work_as_ranks,
)
from OnPolicyDistill.cli.run_lines import typed
from OnPolicyDistill.cli.runs import RunArgument, open_run
from OnPolicyDistill.cli.starting import AnywayOption, refuse_without_memory
from OnPolicyDistill.errors import InputError, StoppedError

if TYPE_CHECKING:
    from OnPolicyDistill.config import RunConfig
    from OnPolicyDistill.distributed.launching import Places
    from OnPolicyDistill.methods import EveryKind
    from OnPolicyDistill.runs.directory import RunDirectory
    from OnPolicyDistill.runs.reporting import Observer, StopRequest

    Train = Callable[[RunDirectory, Observer | None, StopRequest | None, Path | None], None]


def train(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="YAML file or name of a preset.")
    ] = None,
    *,
    assignments: AssignmentsOption = None,
    prompts: Annotated[str | None, typer.Option(help="File of training prompts.")] = None,
    validation: Annotated[str | None, typer.Option(help="File of held-out prompts.")] = None,
    teacher: Annotated[str | None, typer.Option(help="Alias, hub id or folder.")] = None,
    student: Annotated[str | None, typer.Option(help="Alias, hub id or folder.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for the run.")] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="End after so many steps, instead of num_steps.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Start a run whose folder exists; nothing else is read.")
    ] = None,
    anyway: AnywayOption = False,
    num_ranks: RanksOption = 1,
    hosts: HostsOption = None,
    backend: BackendOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Start a run and work on it until it ends; Ctrl-C pauses it with a checkpoint."""
    from OnPolicyDistill.cli.check import refuse_what_cannot_work
    from OnPolicyDistill.cli.settings import Given, load_settings
    from OnPolicyDistill.runs.directory import create_run

    places = chosen_places(num_ranks, hosts, backend)
    assigned = [*(assignments or ()), *_steps(max_steps)]
    options = {
        "prompts": prompts,
        "validation": validation,
        "teacher": teacher,
        "student": student,
        "name": name,
    }
    if run is not None:
        if config is not None or assigned or any(options.values()):
            raise InputError("--run takes the settings of the run's folder.", "Give no others.")
        _work(_unstarted(run, workspace), None, json, places)
        return
    settings = load_settings(config, Given(options, assigned))
    folder = workspace or default_workspace()
    for warning in refuse_what_cannot_work(settings, folder):
        print_note(f"Warning: {warning}")
    refuse_without_memory(settings, anyway, folder, ranks_here(places))
    _work(create_run(folder, settings), None, json, places)


def _steps(most: int | None) -> list[str]:
    return [] if most is None else [f"num_steps={most}", "num_epochs=null"]


def resume(
    run: RunArgument,
    *,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="CHECKPOINT",
            help="A step, `best`, `last` or a folder. An earlier one is gone on from in a new run, "
            "and this run stays as it is. Else the newest.",
        ),
    ] = None,
    anyway: AnywayOption = False,
    num_ranks: RanksOption = 1,
    hosts: HostsOption = None,
    backend: BackendOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Go on with a paused, interrupted or failed run, exactly where its checkpoint stands."""
    from OnPolicyDistill.runs.branching import branch, goes_on_in_place
    from OnPolicyDistill.runs.checkpoints import last_checkpoint
    from OnPolicyDistill.runs.soundness import check_resumable

    places = chosen_places(num_ranks, hosts, backend)
    found = open_run(run, workspace)
    if checkpoint is None:
        refuse_finished(found)
    chosen = last_checkpoint(found) if checkpoint is None else choose_checkpoint(found, checkpoint)
    check_resumable(found, chosen)
    if checkpoint is not None and chosen is not None and not goes_on_in_place(found, chosen):
        found = branch(found, chosen)
        chosen = last_checkpoint(found)
        print_note(f"The run stays as it is; what follows is a new one, {found.run_id}.")
    refuse_without_memory(found.config(), anyway, found.path.parent.parent, ranks_here(places))
    _work(found, chosen, json, places)


def _work(
    run: RunDirectory, checkpoint: Path | None, json: bool, places: Places | None = None
) -> None:
    """Work on a run here, as ranks, or in a child where macOS may end what uses the GPU."""
    from OnPolicyDistill.cli import watching

    if places is not None:
        work_as_ranks(run, checkpoint, places)
        tell(run, json)
        return
    if not watching.is_needed():
        work_on(run, checkpoint, json)
        return
    # Whether the memory is free was asked here.
    resuming = ["resume", run.run_id, "--anyway"]
    verb = ["train", "--run", run.run_id] if run.state() == "created" else resuming
    chosen = [] if checkpoint is None else ["--from", str(checkpoint)]
    options = ["--workspace", str(run.path.parent.parent), *(["--json"] if json else [])]
    raise typer.Exit(watching.watch(run, [*verb, *chosen, *options]))


def work_on(run: RunDirectory, checkpoint: Path | None, json: bool) -> None:
    """Train in this process until the run ends, is paused or fails; then report.

    Raises:
        StoppedError: the run was paused and can be resumed.
        DistillError: the run failed; its log says so too.
    """
    train_on(run, checkpoint)
    tell(run, json)


def train_on(run: RunDirectory, checkpoint: Path | None) -> None:
    """Train in this process until the run ends, is paused or fails.

    Raises:
        StoppedError: the run was paused and can be resumed.
        DistillError: the run failed; its log says so too.
    """
    from OnPolicyDistill.cli.progress import watched
    from OnPolicyDistill.config import num_steps_of
    from OnPolicyDistill.macos import awake
    from OnPolicyDistill.planning.starting import kept_forecast
    from OnPolicyDistill.runs.pace import route_of
    from OnPolicyDistill.runs.reporting import StopRequest

    config = run.config()
    stop = StopRequest(on_hang_up=forget_terminal)
    print_note(f"Run {run.run_id} in {run.path}")
    route = route_of(config, num_steps_of(config))
    known = kept_forecast(run)
    with awake(), stop.on_signals(), watched(route, run.log_file, known) as observer:
        load_mlx()
        work = trainer_of(config)
        try:
            work(run, observer, stop, checkpoint)
        except StoppedError as error:
            raise StoppedError(_paused(run), f"Go on with: opd resume {typed(run)}") from error


def tell(run: RunDirectory, json: bool) -> None:
    """Write a finished run's report and print it."""
    from OnPolicyDistill.evaluation.report import write_report

    text = write_report(run)
    if json:
        print_json(_summary(run))
    else:
        print_text(text)
        print_note(f"Report, plots and checkpoints are in {run.path}")


def choose_checkpoint(run: RunDirectory, name: str) -> Path:
    """Return the checkpoint that a step, `best`, `last` or a folder means.

    Raises:
        InputError: the run has no such checkpoint.
    """
    from OnPolicyDistill.runs.called import called
    from OnPolicyDistill.runs.checkpoints import list_checkpoints, pointed

    checkpoints = list_checkpoints(run)
    if name in ("best", "last"):
        wanted = pointed(run, name)
    elif name.isdecimal():
        wanted = next((path for path in checkpoints if int(path.name) == int(name)), None)
    else:
        wanted = Path(name).expanduser().resolve()
    for path in checkpoints:
        if wanted is not None and path.resolve() == wanted.resolve():
            return path
    have = ", ".join(path.name for path in checkpoints) or "none"
    raise InputError(f"Run {called(run)} has no checkpoint {name}.", f"It has: {have}.")


def refuse_finished(run: RunDirectory) -> None:
    """Refuse to go on with a run that has nothing left to do.

    Raises:
        InputError: it took all its steps, or stopped improving.
    """
    from OnPolicyDistill.runs.called import called
    from OnPolicyDistill.runs.events import RunFinished
    from OnPolicyDistill.runs.log import last_event

    event = last_event(run.events_file)
    if isinstance(event, RunFinished) and event.because != "stopped":
        raise InputError(
            f"Run {called(run)} is finished.",
            "To go on from its adapter, start a run with student_adapter set to its best "
            "checkpoint; to take steps again from an earlier checkpoint, give --from.",
        )


def trainer_of(config: RunConfig) -> Train:
    """The loop of a run's method."""
    from OnPolicyDistill.evaluation.labelled_run import evaluate_run
    from OnPolicyDistill.trainers import on_policy, sft, vlm_distillation
    from OnPolicyDistill.trainers.grpo import train as grpo
    from OnPolicyDistill.trainers.projector import train as projector
    from OnPolicyDistill.trainers.prompt_distillation import train as prompt_distillation

    trainers: EveryKind[Train] = {
        "on_policy": on_policy.train,
        "sft": sft.train,
        "prompt_distillation": prompt_distillation.train,
        "vlm_distillation": vlm_distillation.train,
        "grpo": grpo.train,
        "projector": projector.train,
        "evaluation": evaluate_run,
    }
    return trainers[config.method]


def _paused(run: RunDirectory) -> str:
    from OnPolicyDistill.runs.called import called
    from OnPolicyDistill.runs.checkpoints import last_checkpoint

    saved = last_checkpoint(run)
    where = "before its first step" if saved is None else f"at step {int(saved.name)}"
    return f"Run {called(run)} is paused {where}."


def _unstarted(name: str, workspace: Path | None) -> RunDirectory:
    from OnPolicyDistill.runs.called import called

    run = open_run(name, workspace)
    if run.state() != "created":
        raise InputError(f"Run {called(run)} is {run.state()}.", f"Use: opd resume {typed(run)}")
    return run


def _summary(run: RunDirectory) -> dict[str, object]:
    from OnPolicyDistill.runs.checkpoints import exported
    from OnPolicyDistill.runs.events import RunFinished
    from OnPolicyDistill.runs.log import last_event

    event = last_event(run.events_file)
    adapter = exported(run)
    return {
        "run_id": run.run_id,
        "path": str(run.path),
        "state": run.state(),
        "because": event.because if isinstance(event, RunFinished) else None,
        "report": event.report if isinstance(event, RunFinished) else {},
        "intervals": event.intervals if isinstance(event, RunFinished) else {},
        "adapter_path": None if adapter is None else str(adapter),
    }
