"""Putting a run into the queue: disk, memory, and the memory that it needs by forecast."""

from __future__ import annotations

from pathlib import Path

from backend.backend import Backend
from backend.door.door import DOOR
from backend.door.questions import PlanQuestion
from backend.door.turns import BusyError
from backend.problems import ConflictError, WrongFieldError
from backend.ranks import Chosen, RanksAsked, choose, chosen_for, keep
from backend.supervisor.slot import Verb
from backend.system.room import check_disk, check_forecast, check_memory
from OnPolicyDistill.config import RunConfig
from OnPolicyDistill.errors import ConfigError, DistillError
from OnPolicyDistill.planning.plan import Plan
from OnPolicyDistill.planning.starting import forecast_from, kept_forecast
from OnPolicyDistill.runs.branching import branch, goes_on_in_place
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.checkpoints import list_checkpoints
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.forecast import RunForecast
from OnPolicyDistill.runs.soundness import check_resumable


def check_start(backend: Backend, config: RunConfig, anyway: bool, num_here: int = 1) -> None:
    """Refuse a run that would start now and needs more memory than is free, before it is made.

    `num_here` processes of it work on this machine, each with all that one needs.

    Raises:
        MemoryInUseError: it does, and `anyway` is false.
    """
    if not anyway and backend.is_free():
        forecast = _forecast_of(config, backend.settings.workspace)
        check_forecast(None if forecast is None else num_here * forecast.needed_gb)


def enqueue(
    backend: Backend, run: RunDirectory, verb: Verb, front: bool = False, anyway: bool = False
) -> None:
    """Queue a run; one that would start now is judged now, another when its turn comes.

    Raises:
        DiskFullError: there is no room.
        LowMemoryError: the machine has no memory to spare.
        MemoryInUseError: the run needs more than is free now, and `anyway` is false.
        BusyError: it cannot be forecast now, and `anyway` is false.
    """
    check_disk(backend.settings)
    check_memory(backend.settings)
    needed_gb = _needed_gb(run, may_be_unknown=anyway)
    if needed_gb is not None:
        needed_gb *= chosen_for(backend.settings.workspace, run.run_id).num_here
    if not anyway and backend.is_free():
        check_forecast(needed_gb)
    backend.supervisor.enqueue(run.run_id, verb, front, needed_gb, anyway)


def resume_at(
    backend: Backend,
    run: RunDirectory,
    step: int,
    anyway: bool = False,
    where: RanksAsked | None = None,
) -> RunDirectory:
    """Queue what goes on from a checkpoint: the run itself, or a new one that begins there.

    Without `where` it works on the ranks that the run was made for.

    Raises:
        WrongFieldError: the run has no such checkpoint.
        ConflictError: the run is at work or waits, so that its newest checkpoint is taken already;
            or hosts are named that the user did not confirm.
        RunError: the run or the checkpoint is damaged.
        MemoryInUseError: the run needs more than is free now, and `anyway` is false.
    """
    found = next((path for path in list_checkpoints(run) if int(path.name) == step), None)
    if found is None:
        raise WrongFieldError("path.step", f"Run {called(run)} has no checkpoint of step {step}.")
    check_resumable(run, found)
    workspace, chosen = backend.settings.workspace, _ranks_of(backend, run, where)
    if goes_on_in_place(run, found):
        if run.state() == "running" or backend.supervisor.is_busy_with(run.run_id):
            raise ConflictError(
                f"Run {called(run)} is at work or waits: it goes on from its newest checkpoint.",
                "Pause it first, or take an earlier checkpoint.",
                code="run_busy",
            )
        keep(workspace, run.run_id, chosen)
        enqueue(backend, run, "resume", anyway=anyway)
        return run
    check_disk(backend.settings)
    check_start(backend, run.config(), anyway, chosen.num_here)
    made = branch(run, found)
    keep(workspace, made.run_id, chosen)
    enqueue(backend, made, "resume", anyway=True)
    return made


def _ranks_of(backend: Backend, run: RunDirectory, where: RanksAsked | None) -> Chosen:
    if where is None:
        return chosen_for(backend.settings.workspace, run.run_id)
    return choose(backend.settings, where, run.config())


def _needed_gb(run: RunDirectory, may_be_unknown: bool) -> float | None:
    """What a run needs by forecast; None where that cannot be known.

    Raises:
        BusyError: it cannot be known now, and may not stay unknown.
    """
    try:
        forecast = kept_forecast(run, _forecast_of)
    except ConfigError:
        return None
    except BusyError:
        if not may_be_unknown:
            raise
        return None
    return None if forecast is None else forecast.needed_gb


def _forecast_of(config: RunConfig, workspace: Path) -> RunForecast | None:
    """Forecast a run behind the door; None where its models or files are not known yet.

    Raises:
        BusyError: too much else is being read; without a forecast nothing starts for that alone.
    """
    question = PlanQuestion(config=config.model_dump(mode="json"), workspace=workspace)
    try:
        return forecast_from(DOOR.ask(question, Plan))
    except BusyError:
        raise
    except DistillError:
        return None
