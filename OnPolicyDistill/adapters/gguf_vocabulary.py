"""A tokenizer.json as the vocabulary of a GGUF file: a text and a type for every row of the model.

Types and texts are those of llama.cpp's own converter: rows that no token has are [PADn] and
unused, special tokens are control tokens, and so are added ones that look special.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.adapters.gguf_support import SPLITS, split_of
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.weight_files import read_json

# ggml's token types.
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Texts and types by token id, and llama.cpp's name of how words are split."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    split: str


def read_vocabulary(folder: Path, num_rows: int) -> Vocabulary:
    """The vocabulary of a model folder whose logits have `num_rows` rows.

    Raises:
        ModelError: tokenizer.json is missing or damaged, splits words in an unknown way, or has a
            token that the model has no row for.
    """
    tokenizer = read_json(folder / "tokenizer.json")
    split = SPLITS.get(split_of(tokenizer) or "")
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if split is None or not isinstance(vocab, dict):
        raise ModelError(
            f"The tokenizer in {folder} is none that a GGUF file of Qwen can hold.",
            "Export it fused, and use that folder.",
        )
    texts = {int(number): str(text) for text, number in vocab.items()}
    types = dict.fromkeys(texts, NORMAL)
    for token in added if isinstance(added, list) else []:
        number, text = int(token["id"]), str(token["content"])
        is_control = bool(token.get("special")) or _looks_special(text)
        texts[number], types[number] = text, CONTROL if is_control else USER_DEFINED
    if max(texts) >= num_rows:
        raise ModelError(
            f"The tokenizer in {folder} has a token {max(texts)}, and the model {num_rows} rows.",
            "Use the tokenizer that the model was published with.",
        )
    rows = range(num_rows)
    return Vocabulary(
        tokens=tuple(texts.get(number, f"[PAD{number}]") for number in rows),
        types=tuple(types.get(number, UNUSED) for number in rows),
        split=split,
    )


def _looks_special(text: str) -> bool:
    """Whether an added token is written like a control token, though it is not marked as one."""
    bars = text.startswith(("<|", "<｜")) and text.endswith(("|>", "｜>"))  # noqa: RUF001
    return bars or text in ("<pad>", "<mask>")
