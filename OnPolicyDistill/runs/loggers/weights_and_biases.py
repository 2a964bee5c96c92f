"""Weights & Biases: files on this machine, or its servers where the settings say online."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from OnPolicyDistill.runs.loggers.entries import Opening

STEP = "step"


class WandbLogger:
    """A run of the same id as ours; steps are an axis of their own.

    W&B's own counter never goes back, but a resumed run repeats what was undone. Nothing but
    settings and metrics is handed over: neither code nor packages, host or console.
    """

    def __init__(self, opening: Opening) -> None:
        import wandb  # noqa: PLC0415 - an extra

        folder = Path(opening.folder)
        folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(
            silent=True,
            console="off",
            save_code=False,
            disable_code=True,
            disable_git=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        self._run = wandb.init(
            project=opening.project,
            entity=opening.entity,
            id=opening.run_id,
            name=opening.run_id,
            dir=str(folder),
            mode=opening.mode,
            resume="allow",
            config=dict(opening.config),
            settings=quiet,
        )
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Hand over metrics with the step that they belong to; W&B keeps its own clock."""
        self._run.log({**values, STEP: step})

    def close(self) -> None:
        """Write out what is left; online this waits until it is sent."""
        self._run.finish()
