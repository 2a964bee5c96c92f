"""Texts of single tokens: blanks stay, and what is no whole character is told as bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mlx_lm.tokenizer_utils import TokenizerWrapper
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, encode_text, opening_text
from OnPolicyDistill.models.token_text import token_text
from tests.backend.tiny import write_tiny_model


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return load_policy(str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")))


def test_tokens_of_a_text_tell_its_blanks_and_the_bytes_of_split_characters(policy: Policy) -> None:
    texts = [token_text(policy, token) for token in encode_text(policy, "a €\n")]
    assert texts == ["a", " ", r"\xe2", r"\x82", r"\xac", "\n"]
    (end, *_) = [token_text(policy, token) for token in policy.stop_ids]
    assert end.startswith("<|")


def test_a_word_of_sentencepiece_keeps_the_blank_in_front(policy: Policy) -> None:
    words = {"\u2581": 0, "a": 1, "<0xE2>": 2, "\u2581a": 3}
    tokenizer = Tokenizer(BPE(words, [("\u2581", "a")], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )  # fmt: skip
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    spm = replace(policy, tokenizer=TokenizerWrapper(fast))
    assert fast.decode([3]) == "a"
    assert [token_text(spm, token) for token in range(4)] == [" ", "a", r"\xe2", " a"]


def test_what_a_tokenizer_puts_in_front_by_itself_is_found(policy: Policy, tmp_path: Path) -> None:
    assert opening_text(policy) == ""
    file = policy.path / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>")
    tokenizer = fast.backend_tokenizer
    from tokenizers.processors import TemplateProcessing  # noqa: PLC0415

    begin = fast.convert_tokens_to_ids("<|endoftext|>")
    tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", begin)]
    )
    opened = replace(policy, tokenizer=TokenizerWrapper(fast))
    assert opening_text(opened) == "<|endoftext|>"
