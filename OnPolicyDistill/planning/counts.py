"""A count in a config.json, such as a width or a number of layers, or why it is none."""

from __future__ import annotations

from collections.abc import Mapping

from OnPolicyDistill.errors import ModelError

# Above every real size; what is above it was not written by whoever trained a model.
MAX_COUNT = 10**9


def read_count(
    values: Mapping[str, object], key: str, source: str, default: int | None = None
) -> int:
    """Read a number of a config; one that is missing or null is `default`.

    Raises:
        ModelError: it is missing without a default, or no positive number; names `source`.
    """
    value = values.get(key)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ModelError(
            f"The configuration of {source} has no usable {key}.",
            "A model folder needs the config.json it was published with.",
        )
    if value > MAX_COUNT:
        raise ModelError(
            f"The configuration of {source} says {key} is above {MAX_COUNT:,}: no model has that.",
            "A model folder needs the config.json it was published with.",
        )
    if value == 0 and default != 0:
        raise ModelError(f"The configuration of {source} says {key} is 0.", "Check config.json.")
    return value
