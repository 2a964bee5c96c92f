"""The loggers that a run's settings choose, and what each of them is told at the start."""

from __future__ import annotations

from OnPolicyDistill.config import RunConfig, settings_of
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.loggers.entries import LoggerName, Opening
from OnPolicyDistill.runs.loggers.following import Loggers
from OnPolicyDistill.settings.logging import LoggingSettings
from OnPolicyDistill.settings.training import OptimizerSettings


def chosen_loggers(run: RunDirectory, config: RunConfig) -> Loggers:
    """Loggers of a run, not begun yet; an evaluation has none."""
    settings = settings_of(config)
    if not isinstance(settings, OptimizerSettings):
        return Loggers({})
    chosen = settings.logging
    common = Opening(
        run_id=run.run_id,
        # Beside the runs: what those programs keep, links among it, is no part of a run.
        folder=str(run.path.parents[1] / "loggers"),
        project=chosen.project,
        config={"method": config.method, **settings.model_dump(mode="json", exclude={"logging"})},
    )
    return Loggers({name: _opening(name, common, chosen) for name in names_of(chosen)})


def names_of(chosen: LoggingSettings) -> list[LoggerName]:
    """The loggers that are on."""
    wanted: dict[LoggerName, bool] = {
        "tensorboard": chosen.tensorboard,
        "wandb": chosen.wandb is not None,
        "trackio": chosen.trackio,
    }
    return [name for name, is_on in wanted.items() if is_on]


def _opening(name: LoggerName, common: Opening, chosen: LoggingSettings) -> Opening:
    """Each is told what it needs and no more."""
    match name:
        case "wandb":
            update: dict[str, object] = {"mode": chosen.wandb, "entity": chosen.wandb_entity}
        case "trackio":
            update = {"space": chosen.trackio_space}
        case "tensorboard":
            update = {"config": {}}
    return common.model_copy(update=update)
