"""A vocabulary head as arrays and words, for a file or a wire."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx

from OnPolicyDistill.head import Quantization, VocabularyHead


class HeadError(ValueError):
    """Why arrays are no head, as a part of a sentence."""


def pack_head(head: VocabularyHead) -> tuple[dict[str, mx.array], dict[str, str]]:
    """A head as `unpack_head` reads it."""
    packed = head.quantization
    arrays = {"weight": head.weight, "bias": head.bias}
    told = {"scale": repr(head.scale), "cap": "" if head.cap is None else repr(head.cap)}
    if packed is not None:
        arrays |= {"scales": packed.scales, "biases": packed.biases}
        told |= {"group_size": str(packed.group_size), "bits": str(packed.bits)}
        told |= {"mode": packed.mode}
    return {name: array for name, array in arrays.items() if array is not None}, told


def unpack_head(
    arrays: Mapping[str, mx.array], told: Mapping[str, str], vocab_size: int
) -> VocabularyHead:
    """A head of so many tokens, evaluated.

    Raises:
        HeadError: the arrays are none.
    """
    try:
        packed = None
        if "scales" in arrays:
            packed = Quantization(
                scales=arrays["scales"],
                biases=arrays.get("biases"),
                group_size=int(told["group_size"]),
                bits=int(told["bits"]),
                mode=told["mode"],
            )
        head = VocabularyHead(
            weight=arrays["weight"],
            vocab_size=vocab_size,
            bias=arrays.get("bias"),
            quantization=packed,
            scale=float(told["scale"]),
            cap=float(told["cap"]) if told["cap"] else None,
        )
        mx.eval(*arrays.values())
    except (RuntimeError, KeyError, ValueError) as error:
        raise HeadError("what it sent as the teacher's vocabulary head is damaged") from error
    if head.weight.ndim != 2 or head.weight.shape[0] < vocab_size:
        raise HeadError("the teacher's vocabulary head has fewer tokens than it says")
    return head
