"""What a model's files hold: how many bits a weight has, as config and headers say it together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.planning.models import read_config
from OnPolicyDistill.planning.weights import StoredTensor, read_tensors
from OnPolicyDistill.registry import KnownModel

# As safetensors spells them; integers are what weights are packed into.
DTYPE_BITS = {"F64": 64, "F32": 32, "BF16": 16, "F16": 16, "F8_E4M3": 8, "F8_E5M2": 8}
PLAIN_BITS = 16


@dataclass(frozen=True, slots=True)
class Precision:
    """Bits of most weights, and in words what else there is."""

    bits: int
    words: str


def precision_of_folder(folder: Path) -> Precision:
    """Read how a model folder's weights are stored.

    Raises:
        ModelError: its config or a header is missing or damaged.
    """
    return stored_precision(read_config(folder), read_tensors(folder))


def known_form_config(model: KnownModel) -> dict[str, object]:
    """The config.json of a known model in its form."""
    packed = {} if model.bits == PLAIN_BITS else {"quantization": {"bits": model.bits}}
    return {**model.config, **packed}


def stored_precision(
    config: Mapping[str, object], tensors: Mapping[str, StoredTensor]
) -> Precision:
    """Say how weights are stored: packed as the config says, else of the type most bytes have."""
    packing = config.get("quantization")
    if isinstance(packing, dict) and isinstance(packing.get("bits"), int):
        return _packed(packing)
    published = config.get("quantization_config")
    if isinstance(published, dict) and published.get("quant_method") == "mxfp4":
        return Precision(PLAIN_BITS, "16 bit, experts in 4")
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        sizes[tensor.dtype] += tensor.num_bytes
    most = sizes.most_common(1)
    bits = DTYPE_BITS.get(most[0][0], PLAIN_BITS) if most else PLAIN_BITS
    return Precision(bits, f"{bits} bit")


def _packed(packing: Mapping[str, object]) -> Precision:
    """Most layers have the bits at the root; those that are named may have others."""
    bits = packing["bits"]
    assert isinstance(bits, int)
    named = (layer.get("bits") for layer in packing.values() if isinstance(layer, dict))
    others = sorted({each for each in named if isinstance(each, int)} - {bits})
    rest = f", parts in {' and '.join(map(str, others))}" if others else ""
    return Precision(bits, f"{bits} bit{rest}")
