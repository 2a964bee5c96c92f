"""AdamW as trainers use it, and its state on disk.

Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2. MLX's class
leaves the bias correction off by default, which makes the first step 3.2 times the rate; here it
is always on. The rate is set before every step (optim/schedule.py), never by the optimizer.
"""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import AdamW
from mlx.utils import tree_unflatten

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.optim.gradients import Gradients
from OnPolicyDistill.settings.training import OptimizerSettings

STATE_FILE = "optimizer.safetensors"


def create_adamw(settings: OptimizerSettings, model: nn.Module) -> AdamW:
    """Make an optimizer with zero moments for the model's trainable parameters."""
    optimizer = AdamW(
        learning_rate=settings.learning_rate,
        betas=[0.9, 0.999],
        eps=1e-8,
        weight_decay=settings.weight_decay,
        bias_correction=True,
    )
    optimizer.init(model.trainable_parameters())
    return optimizer


def apply_gradients(
    optimizer: AdamW, model: nn.Module, gradients: Gradients, learning_rate: float
) -> None:
    """Take one step at the given rate and evaluate the new weights and moments."""
    optimizer.learning_rate = learning_rate
    optimizer.update(model, gradients)
    mx.eval(model.trainable_parameters(), optimizer.state)


def save_optimizer(folder: Path, optimizer: AdamW) -> None:
    """Write step count and moments exactly, as `optimizer.safetensors`."""
    mx.save_safetensors(str(folder / STATE_FILE), flat_arrays(optimizer.state))


def load_optimizer(folder: Path, optimizer: AdamW) -> None:
    """Restore what `save_optimizer` wrote into an optimizer made for the same parameters.

    Raises:
        RunError: the file is missing, damaged, or of other parameters.
    """
    file = folder / STATE_FILE
    try:
        loaded = mx.load(str(file))
        assert isinstance(loaded, dict)
        mx.eval(loaded)
    except (FileNotFoundError, RuntimeError) as error:
        raise RunError(
            f"The optimizer state {file} cannot be read.", "Resume from an earlier checkpoint."
        ) from error
    expected = {name: value.shape for name, value in flat_arrays(optimizer.state).items()}
    if {name: value.shape for name, value in loaded.items()} != expected:
        raise RunError(
            f"The optimizer state {file} belongs to other parameters.",
            "Resume with the adapter settings the run began with.",
        )
    optimizer.state = tree_unflatten(list(loaded.items()))
