"""What is forecast of a run when it starts: kept in its folder, for the time left and the queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from OnPolicyDistill.config import RunConfig
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.planning.chips import this_chip
from OnPolicyDistill.planning.plan import Plan, plan_run
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.forecast import RunForecast, read_forecast, write_forecast

# Forecasts a run that will be in a workspace.
MakeForecast = Callable[[RunConfig, Path], RunForecast | None]


def plan_start(config: RunConfig, workspace: Path) -> Plan | None:
    """Plan a run on this machine; None where its models or files are not known yet."""
    try:
        return plan_run(config, workspace=workspace)
    except DistillError:
        return None


def forecast_of(config: RunConfig, workspace: Path) -> RunForecast | None:
    """Forecast a run on this machine; None where its models or files are not known yet."""
    plan = plan_start(config, workspace)
    return None if plan is None else forecast_from(plan)


def kept_forecast(run: RunDirectory, make: MakeForecast = forecast_of) -> RunForecast | None:
    """The forecast in a run's folder, made now where there is none of this machine's chip.

    Raises:
        ConfigError: the run's settings cannot be read.
    """
    known = read_forecast(run)
    if known is not None and known.chip == this_chip().name:
        return known
    found = make(run.config(), run.path.parent.parent)
    if found is not None:
        write_forecast(run, found)
    return found


def forecast_from(plan: Plan) -> RunForecast:
    """What of a plan is kept with the run."""
    return RunForecast(
        chip=plan.chip,
        preparing_seconds=plan.preparing_seconds,
        step_seconds=plan.step.total,
        evaluation_seconds=plan.step.evaluation,
        sampling_seconds=plan.step.sampling / plan.calibration.sampling,
        scoring_seconds=plan.step.scoring / plan.calibration.scoring,
        learning_seconds=plan.step.learning / plan.calibration.learning,
        prompt_tokens=plan.prompt_tokens,
        completion_tokens=plan.completion_tokens,
        needed_gb=plan.needed_gb,
    )
