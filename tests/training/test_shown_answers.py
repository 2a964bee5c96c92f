"""Which held-out conversations a student answers for people, and how."""

import json
from pathlib import Path

import pytest

from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.generation.request import NO_HOOKS
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.runs.held_out_answers import MOST_SHOWN_TOKENS, NUM_KEPT
from OnPolicyDistill.training.conversation_rows import ConversationRow, encode_conversation
from OnPolicyDistill.training.shown_answers import (
    NOTHING_SHOWN,
    answer_shown,
    same_words,
    shown_of_file,
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer(folder, ["third of March 1998-03-03", "user assistant"] * 2, 270)
    write_random_model(folder, TinyShape(32, 1, 2, 1, 32, 288, True), 0)
    return load_policy(str(folder))


def rows_of(policy: Policy, file: Path, *lines: object) -> list[ConversationRow]:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = load_conversations(file)
    return [row for one in found for row in encode_conversation(policy, one)]


def test_the_first_learned_answer_of_the_first_conversations_is_asked_for(
    policy: Policy, tmp_path: Path
) -> None:
    file = tmp_path / "held.jsonl"
    read_only = {"role": "assistant", "content": "not this", "weight": 0}
    messages = [
        {"role": "user", "content": "first"},
        read_only,
        {"role": "user", "content": "second"},
        {"role": "assistant", "content": "1998"},
        {"role": "user", "content": "third"},
        {"role": "assistant", "content": "March"},
    ]
    pairs = [{"prompt": f"q {n}", "completion": f"{n}"} for n in range(NUM_KEPT + 2)]
    rows = rows_of(policy, file, {"messages": messages}, *pairs)
    shown = shown_of_file(policy, file, rows[:1] + rows[2:])
    assert [(one.index, one.text, one.answer) for one in shown.prompts] == [
        (1, "second", "1998"), (3, "q 1", "1"), (4, "q 2", "2"), (5, "q 3", "3"),
    ]  # fmt: skip
    asked = policy.tokenizer.decode(list(shown.prompts[0].ids))
    assert "second" in asked
    assert "1998" not in asked


def test_answers_are_no_longer_than_the_given_ones_and_bounded(
    policy: Policy, tmp_path: Path
) -> None:
    short = rows_of(policy, tmp_path / "a.jsonl", {"prompt": "q", "completion": "1998"})
    few = shown_of_file(policy, tmp_path / "a.jsonl", short)
    assert few.max_tokens == len(short[0].learned)
    said = answer_shown(policy, few, NO_HOOKS)
    (one,) = said.answers
    assert len(policy.tokenizer.encode(one.text)) <= few.max_tokens + 1
    long = rows_of(policy, tmp_path / "b.jsonl", {"prompt": "q", "completion": "1998 " * 400})
    assert shown_of_file(policy, tmp_path / "b.jsonl", long).max_tokens == MOST_SHOWN_TOKENS


def test_an_answer_in_other_words_has_no_mark() -> None:
    assert same_words("noon", "noon") == 1.0
    assert same_words("twelve", "noon") is None
    assert same_words("<think>one way</think>\n\nnoon", "<think>another</think>\nnoon") == 1.0
    assert same_words("<think>it is noon", "<think>so</think>noon") is None


def test_without_held_out_conversations_nothing_is_written(policy: Policy) -> None:
    assert answer_shown(policy, NOTHING_SHOWN, NO_HOOKS).answers == ()
