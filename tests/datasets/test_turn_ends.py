"""A template's end of turn against the tokens at which a model stops."""

import pytest

from OnPolicyDistill.datasets.turn_ends import find_unstopped_turn


@pytest.mark.parametrize(
    ("closing", "ends"),
    [
        ("<|im_end|>\n", ["<|endoftext|>", "<|im_end|>"]),
        ("<|end|>\n<|endoftext|>", ["<|endoftext|>"]),
        ("</s>", ["</s>"]),
    ],
)
def test_a_stop_token_behind_the_answer_is_enough(closing, ends):
    assert find_unstopped_turn(closing, ends) is None


@pytest.mark.parametrize(
    ("closing", "ends", "words"),
    [
        ("<|im_end|>\n", ["<|endoftext|>"], "ends a turn with <|im_end|>, and its stop tokens are"),
        ("", ["</s>"], "writes nothing at its end, and its stop tokens are </s>"),
        ("### End", [], "it has no stop token"),
        ("x", [""], "it has no stop token"),
    ],
)
def test_a_turn_that_nothing_stops_is_told_in_words(closing, ends, words):
    unstopped = find_unstopped_turn(closing, ends)
    assert unstopped is not None
    assert words in unstopped.message("base")
    assert "eos_token_id" in unstopped.action
