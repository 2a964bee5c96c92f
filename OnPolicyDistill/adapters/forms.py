"""The forms a student can leave in, and which models each is possible for; loads no model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from OnPolicyDistill.models.weight_files import read_json

ExportForm = Literal["adapter", "fused", "quantized", "gguf"]
GROUP_SIZES = (32, 64, 128)

# What mlx-lm's converter knows; it writes a SentencePiece vocabulary and nothing else.
GGUF_FAMILIES = ("llama", "mistral", "mixtral")


def gguf_obstacle(folder: Path) -> str | None:
    """Say why mlx-lm cannot write a model folder as GGUF, or None when it can."""
    family = read_json(folder / "config.json").get("model_type")
    if family in GGUF_FAMILIES and (folder / "tokenizer.model").is_file():
        return None
    return (
        f"mlx-lm writes GGUF only for {', '.join(GGUF_FAMILIES)} models with a SentencePiece "
        f"tokenizer; this one is of the family {family}."
    )
