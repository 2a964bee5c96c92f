"""Which model folders can be written as one GGUF file, and by whom; loads no model.

llama, mistral and mixtral models with a SentencePiece vocabulary go through mlx-lm, as 16 bit
floats. Qwen2 and Qwen3 models (R1's Qwen distillates among them) are written here with the `gguf`
package, in the layout of llama.cpp's own converter (gguf_writing.py).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from OnPolicyDistill.adapters.forms import GgufType
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.weight_files import read_json

# What mlx-lm's converter knows; it writes a SentencePiece vocabulary and nothing else.
MLX_LM_FAMILIES = ("llama", "mistral", "mixtral")
# Model types in config.json that are written here; the file calls their architecture the same.
OWN_FAMILIES = ("qwen2", "qwen3")
ROPE_TYPES = ("default", "linear", "yarn")
INSTALL = "Install it: pip install 'onpolicydistill[gguf]', or make setup in a checkout."

# How a tokenizer splits words before it merges pairs, and llama.cpp's name for that. The second is
# that of the embedded models: near to Qwen's, but llama.cpp splits some texts otherwise.
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
EMBEDDED_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
)  # fmt: skip
SPLITS = {QWEN_SPLIT: "qwen2", EMBEDDED_SPLIT: "qwen2"}
SPLIT_NOTE = (
    "llama.cpp has no name for how this tokenizer splits words. The file names Qwen's way, which "
    "differs where spaces follow each other and at an apostrophe."
)


def gguf_obstacle(folder: Path, stored: GgufType = "f16") -> str | None:
    """Say why a model folder cannot be written as GGUF with this type, or None when it can.

    Raises:
        ModelError: its config is missing or damaged.
    """
    config = read_json(folder / "config.json")
    family = config.get("model_type")
    if family in MLX_LM_FAMILIES and (folder / "tokenizer.model").is_file():
        if stored == "f16":
            return None
        return f"mlx-lm writes GGUF of {family} models as f16 alone."
    if family not in OWN_FAMILIES:
        return (
            f"GGUF is written for {', '.join(OWN_FAMILIES)}, and for {', '.join(MLX_LM_FAMILIES)} "
            f"models with a SentencePiece tokenizer; this one is of the family {family}."
        )
    return _own_obstacle(folder, config)


def is_our_own(folder: Path) -> bool:
    """Whether a model folder is written here, and not by mlx-lm."""
    return read_json(folder / "config.json").get("model_type") in OWN_FAMILIES


def split_note(folder: Path) -> str:
    """What is to be known of how llama.cpp splits a model's words; mostly nothing.

    Raises:
        ModelError: the tokenizer is damaged.
    """
    if not is_our_own(folder):
        return ""
    is_near = split_of(read_json(folder / "tokenizer.json")) == EMBEDDED_SPLIT
    return SPLIT_NOTE if is_near else ""


def split_of(tokenizer: dict[str, object]) -> str | None:
    """The expression by which a byte-level BPE tokenizer.json splits words; None for another."""
    model, before = tokenizer.get("model"), tokenizer.get("pre_tokenizer")
    if not isinstance(model, dict) or model.get("type") != "BPE" or not isinstance(before, dict):
        return None
    parts = before.get("pretokenizers", [before])
    for part in parts if isinstance(parts, list) else []:
        pattern = part.get("pattern") if isinstance(part, dict) else None
        if isinstance(pattern, dict) and "Regex" in pattern:
            return str(pattern["Regex"])
    return None


def _own_obstacle(folder: Path, config: dict[str, object]) -> str | None:
    if find_spec("gguf") is None:
        return f"The package gguf is missing. {INSTALL}"
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    if isinstance(rope, dict):
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind not in ROPE_TYPES:
            return f"Its positions are scaled in a way that is not written here ({kind})."
    if not (folder / "tokenizer.json").is_file():
        return "The model has no tokenizer.json, from which the file's vocabulary is made."
    try:
        split = split_of(read_json(folder / "tokenizer.json"))
    except ModelError as error:
        return error.message
    if split not in SPLITS:
        return "Its tokenizer splits words in a way that llama.cpp has no name for among Qwen's."
    return None
