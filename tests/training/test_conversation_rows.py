import json
from pathlib import Path

import pytest
from pydantic import JsonValue
from tokenizers import Tokenizer

from OnPolicyDistill.datasets.conversations import Conversation, load_conversations
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, encode_prompt, encode_text
from OnPolicyDistill.training.conversation_rows import (
    ConversationRow,
    encode_conversation,
    pack_rows,
)

TEMPLATES = Path(__file__).parents[1] / "data" / "chat_templates"
ENDS = ("<|end|>", "<｜end▁of▁sentence｜>")
QUESTION = {"role": "user", "content": "third of March 1998"}
ANSWER = {"role": "assistant", "content": "1998-03-03"}


def write_model(folder: Path, template: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    write_tokenizer(folder, ["third of March 1998-03-03", "user assistant"] * 2, 270)
    write_random_model(folder, TinyShape(32, 1, 2, 1, 32, 288, True), 0)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def policy_of_family(folder: Path, template: str) -> Policy:
    """A tiny model with the special tokens of every family."""
    write_model(folder, template)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(list(ENDS))
    tokenizer.save(str(folder / "tokenizer.json"))
    generation = json.loads((folder / "generation_config.json").read_text())
    generation["eos_token_id"] += [tokenizer.token_to_id(end) for end in ENDS]
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return load_policy(str(folder))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return load_policy(str(write_model(tmp_path_factory.mktemp("model"))))


def learned_text(policy: Policy, *messages: dict[str, str]) -> list[str]:
    (row,) = encode_conversation(policy, Conversation(1, messages))
    return learned_pieces(policy, row)


def learned_pieces(policy: Policy, row: ConversationRow) -> list[str]:
    pieces: list[list[int]] = []
    for before, place in zip((-9, *row.learned), row.learned, strict=False):
        if place != before + 1:
            pieces.append([])
        pieces[-1].append(row.token_ids[place])
    return [policy.tokenizer.decode(piece) for piece in pieces]


def test_the_answer_with_its_end_token_is_learned_and_nothing_else(policy: Policy) -> None:
    assert learned_text(policy, QUESTION, ANSWER) == ["1998-03-03<|im_end|>"]


def test_every_answer_of_a_conversation_is_learned(policy: Policy) -> None:
    system = {"role": "system", "content": "of March"}
    second = {"role": "assistant", "content": "third"}
    assert learned_text(policy, system, QUESTION, ANSWER, QUESTION, second) == [
        "1998-03-03<|im_end|>",
        "third<|im_end|>",
    ]


def test_what_comes_before_the_answer_is_the_prompt_of_generation(policy: Policy) -> None:
    (row,) = encode_conversation(policy, Conversation(1, (QUESTION, ANSWER)))
    prompt = encode_prompt(policy, [QUESTION])
    assert list(row.token_ids[: row.learned[0]]) == prompt
    assert row.learned[0] == len(prompt)
    assert row.token_ids[-1] in policy.stop_ids


def test_a_whole_conversation_has_the_tokens_of_its_whole_text(policy: Policy) -> None:
    messages = (QUESTION, ANSWER, QUESTION, ANSWER)
    (row,) = encode_conversation(policy, Conversation(1, messages))
    text = policy.chat_template.render(messages, add_generation_prompt=False)
    assert encode_text(policy, text.removesuffix("\n")) == list(row.token_ids)


def test_what_a_template_opens_for_the_assistant_is_prompt(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>{{ m.content }}"
        "{% else %}<|im_end|>of {{ m.content }}<|im_end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_end|>of {% endif %}"
    )
    policy = load_policy(str(write_model(tmp_path / "model", template)))
    assert learned_text(policy, QUESTION, ANSWER) == ["1998-03-03<|im_end|>"]


def test_a_template_that_rewrites_history_gives_each_answer_a_row(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% if loop.last or m.role == 'user' %}<|im_start|>{{ m.content }}"
        "<|im_end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif %}"
    )
    policy = load_policy(str(write_model(tmp_path / "model", template)))
    assert learned_text(policy, QUESTION, ANSWER) == ["1998-03-03<|im_end|>"]
    second = {**ANSWER, "content": "third"}
    rows = encode_conversation(policy, Conversation(7, (QUESTION, ANSWER, QUESTION, second)))
    assert [learned_pieces(policy, row) for row in rows] == [
        ["1998-03-03<|im_end|>"],
        ["third<|im_end|>"],
    ]
    for row, history in zip(rows, ([QUESTION], [QUESTION, ANSWER, QUESTION]), strict=True):
        assert list(row.token_ids[: row.learned[0]]) == encode_prompt(policy, history)


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("*.jinja")), ids=lambda file: file.stem)
def test_every_family_learns_to_end_its_turn_behind_the_prompt_of_generation(
    file: Path, tmp_path: Path
) -> None:
    policy = policy_of_family(tmp_path, file.read_text(encoding="utf-8"))
    thought = {**ANSWER, "content": "<think>\nof March\n</think>\n\n1998-03-03"}
    messages = (QUESTION, thought, QUESTION, ANSWER)
    rows = encode_conversation(policy, Conversation(1, messages))
    starts = [row.learned[0] for row in rows]
    assert list(rows[0].token_ids[: starts[0]]) == encode_prompt(policy, messages[:1])
    assert list(rows[-1].token_ids[: rows[-1].learned[-1] + 1])[-1] in policy.stop_ids
    learned = [row.token_ids[place] for row in rows for place in row.learned]
    assert [token in policy.stop_ids for token in learned].count(True) == 2
    text = "".join(piece for row in rows for piece in learned_pieces(policy, row))
    assert text.count("of March") == 1
    assert text.count("1998-03-03") == 2


def test_reasoning_is_learned_or_taken_out(policy: Policy) -> None:
    answer = {**ANSWER, "content": "<think>of March</think>1998-03-03"}
    conversation = Conversation(3, (QUESTION, answer))
    (kept,), (stripped,) = (
        encode_conversation(policy, conversation, thinking) for thinking in ("keep", "strip")
    )
    assert learned_pieces(policy, kept) == ["<think>of March</think>1998-03-03<|im_end|>"]
    assert learned_pieces(policy, stripped) == ["1998-03-03<|im_end|>"]


def test_an_answer_that_is_nothing_but_reasoning_cannot_be_stripped(policy: Policy) -> None:
    answer = {**ANSWER, "content": "<think>of March</think>"}
    with pytest.raises(DatasetError, match="Without its reasoning nothing is left"):
        encode_conversation(policy, Conversation(3, (QUESTION, answer)), "strip")


def test_an_answer_without_an_end_token_is_learned_to_its_end(tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    policy = load_policy(str(write_model(tmp_path / "model", template)))
    assert learned_text(policy, QUESTION, ANSWER) == ["1998-03-03"]


def test_positions_are_one_place_before_their_labels(policy: Policy) -> None:
    rows = [
        encode_conversation(policy, Conversation(1, (QUESTION, {**ANSWER, "content": text})))[0]
        for text in ("1998-03-03", "third of March 1998-03-03")
    ]
    batch = pack_rows(rows)
    flat = batch.tokens.reshape(-1).tolist()
    assert [flat[p + 1] for p in batch.positions.tolist()] == batch.labels.tolist()
    expected = [token for row in rows for token in row.token_ids[row.learned[0] :]]
    assert batch.labels.tolist() == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"prompt": "a"}, "nor prompt with completion"),
        ({"messages": []}, "not a list with messages"),
        ({"messages": [{"content": "a"}]}, "has no role"),
        ({"messages": [{"role": "user"}]}, "has no content"),
        ({"messages": [{"role": "user", "content": "a"}]}, "no answer to learn"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "no answer to learn"),
        ({"messages": [QUESTION, {"role": "assistant", "content": " "}]}, "message is empty"),
    ],
)
def test_lines_that_cannot_be_learned_are_named(
    tmp_path: Path, line: dict[str, object], words: str
) -> None:
    file = tmp_path / "set.jsonl"
    good = {"messages": [QUESTION, ANSWER]}
    file.write_text("\n".join(map(json.dumps, (good, line, line))))
    with pytest.raises(DatasetError, match=rf"set\.jsonl, line 2: .*{words}.*1 more lines"):
        load_conversations(file)


@pytest.mark.parametrize("key", ["completion", "answer"])
def test_prompt_and_completion_are_a_conversation_too(tmp_path: Path, key: str) -> None:
    file = tmp_path / "set.jsonl"
    file.write_text(json.dumps({"prompt": "a", key: "b"}))
    (conversation,) = load_conversations(file)
    assert [message["content"] for message in conversation.messages] == ["a", "b"]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text("\n")
    with pytest.raises(DatasetError, match="no conversations"):
        load_conversations(tmp_path / "set.jsonl")


def test_a_turn_of_weight_zero_is_read_and_not_learned(policy: Policy) -> None:
    quiet = {**ANSWER, "weight": 0}
    messages = (QUESTION, quiet, QUESTION, ANSWER)
    (row,) = encode_conversation(policy, Conversation(1, messages))
    (both,) = encode_conversation(policy, Conversation(1, (QUESTION, ANSWER, QUESTION, ANSWER)))
    assert row.token_ids == both.token_ids
    assert learned_pieces(policy, row) == ["1998-03-03<|im_end|>"]
    assert row.learned == both.learned[len(row.learned) :]


def test_parts_of_words_are_learned_as_their_text(policy: Policy, tmp_path: Path) -> None:
    parts = {**ANSWER, "content": [{"type": "text", "text": "1998-"}, "03-03"]}
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"messages": [QUESTION, parts]}) + "\n")
    (found,) = load_conversations(file)
    assert encode_conversation(policy, found) == encode_conversation(
        policy, Conversation(1, (QUESTION, ANSWER))
    )


def test_tools_of_a_line_stand_before_what_is_learned(tmp_path: Path) -> None:
    source = (
        "{% for tool in tools or [] %}of {{ tool.name }}\n{% endfor %}"
        "{% for m in messages %}{{ m.role }} {{ m.content }}{% for c in m.tool_calls or [] %}"
        "{{ c.function.arguments | tojson }}{% endfor %}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}assistant {% endif %}"
    )
    policy = load_policy(str(write_model(tmp_path / "model", source)))
    function: JsonValue = {"name": "look", "arguments": '{"a": "March"}'}
    calls: JsonValue = [{"function": function}]
    call: dict[str, JsonValue] = {"role": "assistant", "content": "", "tool_calls": calls}
    told = Conversation(1, (QUESTION, call), tools=({"name": "March"},))
    (row,) = encode_conversation(policy, told)
    assert policy.tokenizer.decode(list(row.token_ids)).startswith("of March\n")
    assert learned_pieces(policy, row) == ['{"a": "March"}<|im_end|>']
    assert policy.tokenizer.decode(
        encode_prompt(policy, [QUESTION], ({"name": "March"},))
    ).startswith("of March\n")
    assert encode_conversation(policy, told, "strip") == (row,)


def test_a_policy_without_eyes_refuses_a_picture_in_words(policy: Policy, tmp_path: Path) -> None:
    picture = PictureSource("a.png", tmp_path / "a.png")
    content: JsonValue = [{"type": "image"}, {"type": "text", "text": "third"}]
    asked: dict[str, JsonValue] = {"role": "user", "content": content}
    with pytest.raises(DatasetError, match="sees none"):
        encode_conversation(policy, Conversation(1, (asked, ANSWER), (picture,)))
