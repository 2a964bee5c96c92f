"""One optimizer step that changes nothing when its numbers are not finite."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mlx.nn as nn
from mlx.optimizers import AdamW

from OnPolicyDistill.errors import DivergedError
from OnPolicyDistill.optim.adamw import apply_gradients
from OnPolicyDistill.optim.gradients import Gradients, clip_gradients
from OnPolicyDistill.optim.schedule import learning_rate
from OnPolicyDistill.settings.training import OptimizerSettings

BAD_STEPS_ALLOWED = 3


@dataclass(frozen=True, slots=True)
class Update:
    """What a step did: the gradient's norm before clipping, the rate, and whether it was taken."""

    grad_norm: float
    learning_rate: float
    was_taken: bool


class Updater:
    """Clips and applies gradients; counts the steps in a row that had to be left out."""

    def __init__(self, optimizer: AdamW, model: nn.Module, settings: OptimizerSettings) -> None:
        self.optimizer = optimizer
        self._model = model
        self._settings = settings
        self._num_bad = 0

    def apply(self, gradients: Gradients, loss: float, step: int) -> Update:
        """Take step `step` (from 1) unless loss or gradient is not finite.

        Raises:
            DivergedError: that happened three times in a row.
        """
        clipped, norm = clip_gradients(gradients, self._settings.max_grad_norm)
        rate = learning_rate(self._settings, step)
        if math.isfinite(norm) and math.isfinite(loss):
            apply_gradients(self.optimizer, self._model, clipped, rate)
            self._num_bad = 0
            return Update(norm, rate, True)
        self._num_bad += 1
        if self._num_bad >= BAD_STEPS_ALLOWED:
            raise DivergedError(
                f"{BAD_STEPS_ALLOWED} steps in a row gave numbers that are not finite.",
                "Start a new run with a lower learning_rate from the last checkpoint.",
            )
        return Update(norm, rate, False)
