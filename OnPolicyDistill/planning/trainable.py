"""Whether this machine can train a model at all: fine-tuned with an adapter, the least there is."""

from __future__ import annotations

from OnPolicyDistill.config import RunConfig, parse_config
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.architectures import training_reason
from OnPolicyDistill.planning.outlook import Ground, best_look, survey, with_settings
from OnPolicyDistill.planning.sizes import bytes_by_bits
from OnPolicyDistill.registry import KnownModel


def training_ground(memory_gb: float | None = None) -> Ground:
    """The machine with conversations as long as they may be: this one unless memory is given."""
    return survey(_fine_tuning(), memory_gb)


def trainable_bits(model: KnownModel, ground: Ground) -> int | None:
    """The most bits a weight with which a model can be fine-tuned; None where it cannot.

    With the defaults of the method, and what lets a run fit without changing what is learned.
    """
    if training_reason(model.family) is not None:
        return None
    for bits in bytes_by_bits(model):
        name = model.alias if bits == 16 else f"{model.alias}-{bits}bit"
        config = with_settings(_fine_tuning(), {"model": name})
        try:
            found = best_look(config, ground)
        except ModelError:
            return None  # a folder that cannot be read
        if found.verdict != "does_not_fit":
            return bits
    return None


def _fine_tuning() -> RunConfig:
    return parse_config({"method": "sft", "sft": {}})
