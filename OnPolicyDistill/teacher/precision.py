"""How the disk keeps hidden states: as they are, in bfloat16 or in int8, and what that costs.

In int8 every 64 numbers of a position share a float32 scale, the largest of them over 127: read
back, a number is one product, rounded alike on every machine. What is lost is measured where it is
felt, as KL(teacher || teacher from what is kept) over the vocabulary, in nats a token.

Letters: N completion positions, D hidden width, G groups of 64 along it.
"""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.targets import HiddenTargets
from OnPolicyDistill.settings.teachers import Precision

GROUP, LARGEST = 64, 127
DTYPES = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}


def keep_hidden(hidden: mx.array, precision: Precision) -> dict[str, mx.array]:
    """Hidden states (N, D) as arrays to keep."""
    match precision:
        case "exact":
            return {"hidden": hidden}
        case "bfloat16":
            return {"hidden": hidden.astype(mx.bfloat16)}
        case "int8":
            N, D = hidden.shape
            padded = mx.pad(hidden.astype(mx.float32), [(0, 0), (0, -D % GROUP)])
            groups = padded.reshape(N, -1, GROUP)  # (N, G, 64)
            largest = mx.abs(groups).max(axis=-1)  # (N, G)
            scale = mx.where(largest > 0, largest / LARGEST, 1.0)
            # An int8 has no nan: without this a broken teacher would read back as a whole one.
            scale = mx.where(mx.isfinite(groups).all(axis=-1), scale, mx.nan)
            steps = mx.round(groups / scale[..., None])
            whole = mx.clip(steps, -LARGEST, LARGEST).astype(mx.int8).reshape(N, -1)
            return {"whole": whole, "scale": scale}


def kept_hidden(arrays: Mapping[str, mx.array], dtype: str, width: int) -> mx.array:
    """Hidden states (N, D) again, in the type that the teacher made them in.

    Raises:
        KeyError: the arrays are others.
    """
    if "hidden" in arrays:
        return arrays["hidden"].astype(DTYPES[dtype])
    whole, scale = arrays["whole"], arrays["scale"]
    groups = whole.reshape(whole.shape[0], -1, GROUP).astype(mx.float32) * scale[..., None]
    return groups.reshape(whole.shape[0], -1)[:, :width].astype(DTYPES[dtype])


def loss_of_keeping(hidden: mx.array, kept: mx.array, head: VocabularyHead) -> tuple[float, float]:
    """Mean and largest KL(teacher || teacher from what is kept), nats a token."""
    labels = mx.zeros(hidden.shape[0], mx.uint32)
    apart = compare_distributions(kept, head, HiddenTargets(hidden, head), labels).forward_kl
    return as_float(apart.mean()), as_float(apart.max())
