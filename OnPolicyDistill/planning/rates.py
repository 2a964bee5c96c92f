"""Whether a run's learning rate gets where its settings say; knows no model and no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from OnPolicyDistill.settings.training import OptimizerSettings


@dataclass(frozen=True, slots=True)
class EndlessWarmup:
    """A warm-up that the run ends in: the setting that makes it, what follows, what to do."""

    key: Literal["warmup_steps", "warmup_ratio"]
    message: str
    fix: str


def endless_warmup(settings: OptimizerSettings) -> EndlessWarmup | None:
    """What to say where no step has the peak rate, else None; the settings must be settled."""
    if settings.highest_share == 1:
        return None
    reached, peak = settings.highest_share * settings.learning_rate, settings.learning_rate
    message = (
        f"The warm-up takes {settings.warmup_steps} steps and the run only {settings.num_steps}: "
        f"its learning rate rises to {reached:.3g} and never reaches {peak:.3g}."
    )
    key: Literal["warmup_steps", "warmup_ratio"] = "warmup_ratio"
    if settings.warmup_ratio is None:
        key = "warmup_steps"
    return EndlessWarmup(key, message, f"Lower {key}, or let the run take more steps.")
