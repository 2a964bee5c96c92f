"""The text of single tokens, for people who look at them: one rule for rollouts and playground."""

from __future__ import annotations

import re
from functools import cache

from OnPolicyDistill.models.policy import Policy

INCOMPLETE = "\ufffd"  # what a tokenizer decodes part of a character to
WORD_BEGINS = "\u2581"  # SentencePiece's sign for the blank in front of a word
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


def token_text(policy: Policy, token_id: int) -> str:
    r"""Text of one token: special ones written out, blanks kept, parts of characters as `\xe2`."""
    text: str = policy.tokenizer.decode([token_id], skip_special_tokens=False)
    piece = policy.tokenizer.convert_ids_to_tokens(token_id)
    if not isinstance(piece, str):
        return text  # a padded vocabulary's row, which no tokenizer names
    if INCOMPLETE in text:
        return _spelled(piece) or text
    # A lone piece is decoded as if it began the text, where no blank stands in front.
    return f" {text}" if piece.startswith(WORD_BEGINS) and not text.startswith(" ") else text


def _spelled(piece: str) -> str | None:
    """The bytes of a piece with its whole characters in words; None where they are not known."""
    if BYTE_PIECE.fullmatch(piece):
        data = bytes([int(piece[3:5], 16)])
    elif all(sign in _bytes_by_sign() for sign in piece):
        data = bytes(_bytes_by_sign()[sign] for sign in piece)
    else:
        return None
    return data.decode("utf-8", "backslashreplace")


@cache
def _bytes_by_sign() -> dict[str, int]:
    """The printable signs that byte-level tokenizers write bytes with (GPT-2's encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }
