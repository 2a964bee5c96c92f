"""Arrays in JSON, and JSON from elsewhere read with care.

What is not as it should be is an `AnswerError`, whatever it is.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from pydantic import JsonValue

_NUMPY = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2", "uint32": "<u4"}
_MLX = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16, "uint32": mx.uint32}


class AnswerError(ValueError):
    """What is wrong with an answer, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Packed:
    """An array as bytes, little-endian; made and read without MLX's threads."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def packed(array: mx.array) -> dict[str, JsonValue]:
    """An evaluated array as JSON."""
    name = str(array.dtype).removeprefix("mlx.core.")
    bits = array.view(mx.uint16) if name == "bfloat16" else array
    data = np.array(bits).astype(_NUMPY[name]).tobytes()
    return {
        "dtype": name,
        "shape": list(array.shape),
        "data": base64.b64encode(data).decode("ascii"),
    }


def unpacked(value: JsonValue) -> Packed:
    """An array of an answer, its size checked.

    Raises:
        AnswerError: type, shape and bytes do not belong together.
    """
    told = as_object(value, "an array")
    name, shape, text = told.get("dtype"), told.get("shape"), told.get("data")
    if not isinstance(name, str) or name not in _NUMPY or not isinstance(text, str):
        raise AnswerError("has an array of no known type")
    sizes = [size for size in as_list(shape, "a shape") if isinstance(size, int) and size > 0]
    if not 1 <= len(sizes) <= 2 or len(sizes) != len(as_list(shape, "a shape")):
        raise AnswerError("has an array of no usable shape")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise AnswerError("has an array that is cut off") from error
    if len(data) != math.prod(sizes) * np.dtype(_NUMPY[name]).itemsize:
        raise AnswerError("has an array that is cut off")
    return Packed(name, tuple(sizes), data)


def to_mlx(array: Packed) -> mx.array:
    """The array as MLX has it, in the type that it was sent in."""
    values = mx.array(np.frombuffer(array.data, _NUMPY[array.dtype]).reshape(array.shape))
    return (
        values.view(mx.bfloat16) if array.dtype == "bfloat16" else values.astype(_MLX[array.dtype])
    )


def as_object(value: JsonValue, what: str) -> Mapping[str, JsonValue]:
    """The value as an object; AnswerError says `what` is missing otherwise."""
    if not isinstance(value, dict):
        raise AnswerError(f"has no object where {what} belongs")
    return value


def as_list(value: JsonValue, what: str) -> list[JsonValue]:
    """The value as a list; AnswerError says `what` is missing otherwise."""
    if not isinstance(value, list):
        raise AnswerError(f"has no list where {what} belongs")
    return value
