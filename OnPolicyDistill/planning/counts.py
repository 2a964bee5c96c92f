"""The language model in a config.json, and its counts: a width, a number of layers, or why not."""

from __future__ import annotations

from collections.abc import Mapping

from OnPolicyDistill.errors import ModelError

# Above every real size; what is above it was not written by whoever trained a model.
MAX_COUNT = 10**9
# What Google's config.json leave out, as mlx-lm fills it in.
LEFT_OUT: Mapping[str, Mapping[str, object]] = {
    "gemma3": {
        "head_dim": 256,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "tie_word_embeddings": True,
        "vocab_size": 262_208,
    },
    "gemma4": {"tie_word_embeddings": True, "vocab_size": 262_144},
}


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


def language_part(config: Mapping[str, object]) -> Mapping[str, object]:
    """The language model's part of a config, with what its family leaves out."""
    nested = config.get("text_config")
    text = {**config, **nested} if isinstance(nested, dict) else config
    family = str(text.get("model_type", "")).removesuffix("_text")
    return {**LEFT_OUT[family], **text} if family in LEFT_OUT else text
