"""A tokenizer read from its files: counting tokens, comparing ids, finding what ends a turn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.files import read_model_file

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_NAMES = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """A model folder's tokenizer.

    `strings` maps each id to its token, added ones included. `special` has the texts of bos, eos,
    pad and unk as far as the folder names them. `end_ids` is every id that ends a completion:
    those of generation_config.json, config.json and the eos token.
    """

    folder: Path
    strings: Mapping[int, str]
    special: Mapping[str, str]
    end_ids: frozenset[int]
    tokenizer: Tokenizer

    @property
    def vocab_size(self) -> int:
        """Real size of the vocabulary: the largest id plus one."""
        return max(self.strings) + 1

    @property
    def end_texts(self) -> list[str]:
        """The tokens of `end_ids`, as far as there are such tokens."""
        return [self.strings[end] for end in sorted(self.end_ids) if end in self.strings]

    def count(self, text: str) -> int:
        """Number of tokens of a text in which special tokens are already written out."""
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, several times faster than one by one."""
        encoded = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encoded]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text in which special tokens are already written out."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)


def load_tokenizer_files(folder: Path) -> TokenizerFiles:
    """Read a folder's tokenizer.

    Raises:
        ModelError: tokenizer.json is missing or damaged.
    """
    file = folder / TOKENIZER_FILE
    if not file.is_file():
        raise ModelError(f"{folder} has no {TOKENIZER_FILE}.", "Download the model again.")
    try:
        tokenizer = Tokenizer.from_buffer(read_model_file(file))
    except Exception as error:  # the library raises bare Exceptions
        raise ModelError(f"{file} is damaged ({error}).", "Download it again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    if not ids:
        raise ModelError(f"{file} has no tokens.", "Download it again.")
    special = special_tokens(folder)
    strings = {token_id: token for token, token_id in ids.items()}
    return TokenizerFiles(folder, strings, special, _end_ids(folder, special, ids), tokenizer)


def special_tokens(folder: Path) -> dict[str, str]:
    """Texts of a folder's bos, eos, pad and unk tokens, as far as it names them."""
    named = {**read_settings(folder, "special_tokens_map.json")}
    named.update(read_settings(folder, TOKENIZER_CONFIG))
    texts = {}
    for name in SPECIAL_NAMES:
        value = named.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            texts[name] = text
    return texts


def read_settings(folder: Path, name: str) -> dict[str, object]:
    """Read a JSON object from a folder; empty where there is no such file.

    Raises:
        ModelError: the file is no JSON object.
    """
    file = folder / name
    try:
        value = json.loads(read_model_file(file))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} is damaged ({error}).", "Download it again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{file} is no JSON object.", "Download it again.")
    return value


def _end_ids(folder: Path, special: Mapping[str, str], ids: Mapping[str, int]) -> frozenset[int]:
    found: list[object] = [ids.get(special.get("eos_token", ""))]
    for name in ("generation_config.json", "config.json"):
        settings = read_settings(folder, name)
        for holder in (settings, settings.get("text_config")):
            value = holder.get("eos_token_id") if isinstance(holder, dict) else None
            found.extend(value if isinstance(value, list) else [value])
    return frozenset(value for value in found if isinstance(value, int))
