"""Conversations about pictures as tokens: what is prompt, what is learned, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, encode_text
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture, PictureBook
from OnPolicyDistill.settings.projector import Targets
from OnPolicyDistill.trainers.projector.rows import Pictured, Writing, without_thoughts
from tests.grafts import write_language

PLACE = {"type": "image"}
FILE = Path("set.jsonl")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return load_policy(str(write_language(tmp_path_factory.mktemp("language"))))


def picture(number: int) -> Picture:
    return Picture(f"picture {number}", 28, 56, 2, lambda: np.zeros((28, 56, 3), np.uint8))


def asked(answer: str, num_pictures: int = 1, words: str = "What?") -> Pictured:
    content = [*[PLACE] * num_pictures, {"type": "text", "text": words}]
    messages = ({"role": "user", "content": content}, {"role": "assistant", "content": answer})
    return Pictured(messages, tuple(picture(n) for n in range(num_pictures)), FILE, 7)  # type: ignore[arg-type]


def writing(policy: Policy, targets: Targets = "strip", markers: bool = True) -> Writing:
    return Writing(policy, PictureBook(), targets, markers)


def text_of(policy: Policy, ids: tuple[int, ...]) -> str:
    words = ["<place>" if i >= FIRST_PICTURE_ID else policy.tokenizer.decode([i]) for i in ids]
    return "".join(words)


def test_the_empty_thought_is_prompt_and_the_answer_is_learned_to_its_end(policy: Policy) -> None:
    conversation = asked("It is red.")
    (row,) = writing(policy).rows(conversation)
    learned = tuple(row.token_ids[place] for place in row.learned)
    assert text_of(policy, learned) == "It is red.<|im_end|>"
    assert text_of(policy, row.token_ids[: row.learned[0]]) == (
        "<|im_start|>user\n<|vision_start|><place><place><|vision_end|>What?<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    assert row.conversation == 7


def test_thinking_is_asked_for_without_the_empty_thought(policy: Policy) -> None:
    conversation = asked("It is red.")
    ids = writing(policy).prompt_ids(conversation, 1, thinking=True)
    assert text_of(policy, ids).endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_marks_around_pictures_can_be_left_out(policy: Policy) -> None:
    conversation = asked("It is red.")
    (row,) = writing(policy, markers=False).rows(conversation)
    assert text_of(policy, row.token_ids).startswith("<|im_start|>user\n<place><place>What?")


def test_pictures_take_their_places_in_order(policy: Policy) -> None:
    conversation = asked("Both.", num_pictures=2)
    (row,) = writing(policy).rows(conversation)
    places = [token - FIRST_PICTURE_ID for token in row.token_ids if token >= FIRST_PICTURE_ID]
    assert places == [0, 1, 2, 3]
    (other,) = writing(policy).rows(replace(conversation, pictures=conversation.pictures[::-1]))
    assert len(other.token_ids) == len(row.token_ids)


def test_every_answer_of_a_conversation_is_a_row_behind_its_history(policy: Policy) -> None:
    first = asked("<think>Hm.</think>Red.")
    more = ({"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Yes."})
    conversation = Pictured((*first.messages, *more), first.pictures, FILE, 7)
    rows = writing(policy).rows(conversation)
    texts = ["".join(text_of(policy, (row.token_ids[p],)) for p in row.learned) for row in rows]
    assert texts == ["Red.<|im_end|>", "Yes.<|im_end|>"]
    assert "Sure?" in text_of(policy, rows[1].token_ids)


@pytest.mark.parametrize(
    ("answer", "targets", "learned"),
    [
        ("<think>\nOne, two.\n</think>\n\nIt is 2.", "strip", "It is 2."),
        ("It is 2.", "strip", "It is 2."),
        ("<think>a</think>So <think>b</think>2", "strip", "So 2"),
        ("<think>a</think>It has \\boxed{2} cells.", "strip", "It has \\boxed{2} cells."),
        ("<think>a</think>It has \\boxed{\\frac{1}{2}} cells.", "answer", "\\frac{1}{2}"),
        ("<think>\\boxed{9}</think> two ", "answer", "two"),
    ],
)
def test_what_is_learned_of_an_answer_has_no_thought(
    answer: str, targets: Targets, learned: str, policy: Policy
) -> None:
    assert writing(policy, targets).target(asked(answer), 1) == learned


@pytest.mark.parametrize(
    "answer",
    [
        "<think>never closed, 2",
        "never opened</think> 2",
        "<think>a<think>b</think></think>2",
        "</think>2<think>",
    ],
)
def test_thoughts_that_do_not_open_and_close_are_an_error_with_the_line(answer: str) -> None:
    with pytest.raises(DatasetError, match=r"^set\.jsonl, line 7: .*do not open and close"):
        without_thoughts(answer, FILE, 7)


def test_an_answer_that_is_nothing_but_a_thought_is_refused(policy: Policy) -> None:
    with pytest.raises(DatasetError, match="line 7: Without its thought nothing is left"):
        writing(policy).target(asked("<think>only this</think>"), 1)


def test_words_that_hold_the_mark_of_a_picture_are_refused(policy: Policy) -> None:
    conversation = asked("Red.", words="Is <|image_pad|> a picture?")
    with pytest.raises(DatasetError, match="line 7: The words hold"):
        writing(policy).rows(conversation)


def test_reasoning_that_stands_beside_the_answer_is_not_learned(policy: Policy) -> None:
    plain = asked("Red.")
    told = {**plain.messages[1], "reasoning_content": "It looks so."}
    conversation = Pictured((plain.messages[0], told), plain.pictures, FILE, 7)
    (row,) = writing(policy).rows(conversation)
    assert row == writing(policy).rows(plain)[0]


def test_the_learned_tokens_are_those_the_model_would_have_to_write(policy: Policy) -> None:
    (row,) = writing(policy).rows(asked("It is 12."))
    learned = [row.token_ids[place] for place in row.learned]
    assert learned[:-1] == encode_text(policy, "It is 12.")
    assert learned[-1] in policy.stop_ids
