"""The learning rate as a pure function of the step, so that resuming needs no schedule state."""

from __future__ import annotations

import math

from OnPolicyDistill.settings.training import OptimizerSettings


def learning_rate(settings: OptimizerSettings, step: int) -> float:
    """Rate of optimizer step `step`, counted from 1.

    The warm-up rises linearly over `warmup_steps`; the step after it has the peak rate, and a
    decaying schedule reaches `schedule_min_ratio` of the peak at step `num_steps`.
    """
    if step <= settings.warmup_steps:
        return settings.learning_rate * step / (settings.warmup_steps + 1)
    first = settings.warmup_steps + 1
    progress = min((step - first) / max(settings.num_steps - first, 1), 1.0)
    floor = settings.schedule_min_ratio
    return settings.learning_rate * (floor + (1.0 - floor) * _height(settings.schedule, progress))


def _height(schedule: str, progress: float) -> float:
    """Height of a schedule between 1 at its beginning and 0 at its end."""
    if schedule == "linear":
        return 1.0 - progress
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0
