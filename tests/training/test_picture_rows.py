"""Conversations with pictures become rows whose places are picture ids, for models that see."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.datasets.squares import distinct_squares, picture_of
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.models.embedded_vision import (
    TinyVisionShape,
    write_random_vision_model,
    write_vision_tokenizer,
)
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, decode, encode_text
from OnPolicyDistill.pictures import FIRST_PICTURE_ID
from OnPolicyDistill.training.conversation_rows import ConversationRow, encode_conversation

PART = {"type": "image"}
BLIND = (
    "{% for m in messages %}{{ m.role }}: {% if m.content is string %}{{ m.content }}"
    "{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
SHAPE = TinyVisionShape(
    hidden_size=32,
    num_layers=1,
    num_heads=2,
    num_kv_heads=1,
    head_size=16,
    intermediate_size=32,
    logit_width=304,
    tower_size=32,
    tower_layers=1,
    tower_heads=2,
    tower_intermediate_size=32,
    levels=(),
    grid=6,
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("model")
    write_vision_tokenizer(folder, ["How wide is it?", "user assistant"] * 2, 280)
    write_random_vision_model(folder, SHAPE, 0)
    return load_policy(str(folder))


def rows_of(
    policy: Policy, folder: Path, num_pictures: int, *messages: object
) -> tuple[ConversationRow, ...]:
    pictures = [picture_of(e, folder) for e in distinct_squares(0, "train", num_pictures)]
    line = json.dumps({"messages": messages, "images": pictures})
    (folder / "conversations.jsonl").write_text(line)
    (conversation,) = load_conversations(folder / "conversations.jsonl", sees=True)
    return encode_conversation(policy, conversation)


def asked(*parts: object) -> dict[str, object]:
    words = [part if isinstance(part, dict) else {"type": "text", "text": part} for part in parts]
    return {"role": "user", "content": words}


def answered(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": f"<think>\nA.\n</think>\n\n{text}"}


def runs(ids: tuple[int, ...]) -> list[int]:
    """Lengths of the stretches of consecutive picture ids."""
    lengths: list[int] = []
    for before, here in pairwise((0, *ids)):
        if here >= FIRST_PICTURE_ID:
            if lengths and before == here - 1:
                lengths[-1] += 1
            else:
                lengths.append(1)
    return lengths


def test_a_picture_stands_between_its_markers_and_is_not_learned(
    policy: Policy, tmp_path: Path
) -> None:
    (row,) = rows_of(policy, tmp_path, 1, asked(PART, "How wide?"), answered("3"))
    start, end = encode_text(policy, "<|vision_start|><|vision_end|>")
    places = [number for number, token in enumerate(row.token_ids) if token >= FIRST_PICTURE_ID]
    assert len(places) == 9  # 96 x 96 pixels in places of 32
    assert places == list(range(places[0], places[-1] + 1))
    assert (row.token_ids[places[0] - 1], row.token_ids[places[-1] + 1]) == (start, end)
    learned = [row.token_ids[place] for place in row.learned]
    assert decode(policy, learned) == "A.\n</think>\n\n3"


def test_a_turn_that_rewrites_history_shows_its_pictures_again(
    policy: Policy, tmp_path: Path
) -> None:
    messages = [asked(PART, "?"), answered("3"), asked("And ", PART, "?"), answered("4")]
    first, second = rows_of(policy, tmp_path, 2, *messages)
    assert runs(first.token_ids) == [9]
    assert runs(second.token_ids) == [9, 9]
    shown = [token for token in second.token_ids if token >= FIRST_PICTURE_ID]
    assert shown[:9] == [token for token in first.token_ids if token >= FIRST_PICTURE_ID]


def test_a_template_without_a_place_for_pictures_is_refused(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(BLIND)
    blind = replace(policy, chat_template=ChatTemplate.load(tmp_path))
    with pytest.raises(DatasetError, match=r"The conversation has 1 pictures, .* shows 0"):
        rows_of(blind, tmp_path, 1, asked(PART, "?"), {"role": "assistant", "content": "3"})
