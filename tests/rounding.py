"""How far two float32 programs may part that would agree in exact arithmetic, said once.

The same program run twice on one machine gives the same bits, and tests ask it for them. Two
programs whose matrix products have other shapes (chunks, batches, micro-batches), or one on another
processor, add the same terms in another order: what they may differ by follows from their number.
"""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx

# Half the spacing of float32 numbers at 1: what one operation rounds by, relative to its result.
UNIT = 2.0**-24
# Trained adapters part by 5e-7 to 4e-6 when micro-batches are cut otherwise, on every kernel of
# OpenBLAS that was tried, and by percents where a step is averaged wrongly.
SAME_ADAPTER = 1e-4


def rounding(num_terms: int, magnitude: float = 1.0) -> float:
    """How far two sums of `num_terms` terms may part whose absolute values sum to `magnitude`.

    Each is off by at most num_terms * UNIT of it in whatever order it is taken (Higham, Accuracy
    and Stability of Numerical Algorithms, section 4.2), the two in opposite directions at worst.
    """
    return 2 * num_terms * UNIT * magnitude


def agree(left: mx.array, right: mx.array, num_terms: int) -> bool:
    """Whether arrays are equal but for sums of `num_terms` terms of about their largest value.

    Values below 1 are judged as if they were 1: logprobs near 0 come from logits that are not.
    Infinite values must be equal.
    """
    if left.shape != right.shape or not mx.array_equal(mx.isinf(left), mx.isinf(right)):
        return False
    finite = mx.where(mx.isinf(right), 0, right)
    magnitude = max(1.0, float(mx.abs(finite).max().item()))
    limit = rounding(num_terms, magnitude)
    return bool(mx.allclose(left, right, rtol=0, atol=limit).item())


def parted(left: Mapping[str, mx.array], right: Mapping[str, mx.array]) -> float:
    """How far two trained LoRA adapters are apart, as a share of what the second one learned.

    Judged by the change of the weights, A @ B, which begins at zero. AdamW divides each gradient by
    its own size, so an element whose gradient is all rounding may go either way by a whole step:
    element by element such adapters cannot agree. Such elements are few, and so is their part in
    the length of the difference.
    """
    assert left.keys() == right.keys()
    apart = learned = 0.0
    for name in right:
        if name.endswith(".lora_a"):
            one, other = _change(left, name), _change(right, name)
            apart += float(mx.square(one - other).sum().item())
            learned += float(mx.square(other).sum().item())
    return (apart / learned) ** 0.5


def _change(adapter: Mapping[str, mx.array], name: str) -> mx.array:
    return adapter[name] @ adapter[name.removesuffix("a") + "b"]
