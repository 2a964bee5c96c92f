"""Tiny folders of three families: their module names, tokens, ends and templates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.conversations import Conversation
from OnPolicyDistill.models.embedded import TinyShape
from OnPolicyDistill.models.embedded_families import (
    FAMILIES,
    FamilyName,
    write_family_words,
    write_random_family,
)
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, encode_prompt
from OnPolicyDistill.training.conversation_rows import encode_conversation

TEMPLATES = Path(__file__).parents[1] / "data" / "chat_templates"
SHAPE = TinyShape(32, 2, 4, 2, 64, 320, tied=True)
USER = {"role": "user", "content": "A causes B."}
THOUGHT = {"role": "assistant", "content": "<think>\nA -> B\n</think>\n\nyes"}
PLAIN = {"role": "assistant", "content": "no"}
SYSTEM = {"role": "system", "content": "Be brief."}
ENDS: dict[FamilyName, str] = {
    "qwen2.5": "<|im_end|>",
    "phi-3.5": "<|end|>",
    "r1-distill": FAMILIES["r1-distill"].ends[0],
}


def made(folder: Path, name: FamilyName) -> Policy:
    folder.mkdir(exist_ok=True)
    write_family_words(folder, name, ["A causes B.", "yes", "no"], 270, 256)
    write_random_family(folder, name, SHAPE, 1)
    return load_policy(str(folder), False)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "messages",
    [(USER,), (SYSTEM, USER), (USER, THOUGHT), (SYSTEM, USER, PLAIN, USER), (USER, THOUGHT, USER)],
)
def test_a_template_writes_what_the_published_one_writes(
    name: FamilyName, messages: tuple[dict[str, str], ...], tmp_path: Path
) -> None:
    sources = (FAMILIES[name].template, (TEMPLATES / f"{name}.jinja").read_text("utf-8"))
    special = {"bos_token": "<bos>", "eos_token": "<eos>"}
    for opens in (True, False):
        texts = []
        for place, source in enumerate(sources):
            folder = tmp_path / str(place)
            folder.mkdir(exist_ok=True)
            (folder / "chat_template.jinja").write_text(source, encoding="utf-8")
            (folder / "tokenizer_config.json").write_text(json.dumps(special))
            texts.append(ChatTemplate.load(folder).render(messages, opens))
        assert texts[0] == texts[1]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_completion_ends_with_the_token_that_closes_the_familys_turns(
    name: FamilyName, tmp_path: Path
) -> None:
    policy = made(tmp_path / "model", name)
    (row,) = encode_conversation(policy, Conversation(1, (USER, THOUGHT)))
    last = row.token_ids[row.learned[-1]]
    assert policy.tokenizer.convert_ids_to_tokens([last]) == [ENDS[name]]
    assert last in policy.stop_ids


def test_r1_learns_the_thought_of_each_turn_behind_a_history_without_thoughts(
    tmp_path: Path,
) -> None:
    policy = made(tmp_path / "model", "r1-distill")
    second = {**THOUGHT, "content": THOUGHT["content"].replace("A -> B", "B -> A")}
    rows = encode_conversation(policy, Conversation(1, (USER, THOUGHT, USER, second)))
    learned = [
        policy.tokenizer.decode([row.token_ids[place] for place in row.learned]) for row in rows
    ]
    end = ENDS["r1-distill"]
    assert learned == [f"{way}\n</think>\n\nyes{end}" for way in ("A -> B", "B -> A")]
    prompt = encode_prompt(policy, [USER, THOUGHT, USER])
    assert list(rows[1].token_ids[: rows[1].learned[0]]) == prompt
    text = policy.tokenizer.decode(prompt)
    assert text.endswith("<think>\n")
    assert "A -> B" not in text


def test_phi_is_adapted_on_its_fused_projections(tmp_path: Path) -> None:
    policy = made(tmp_path / "model", "phi-3.5")
    names = {name.split(".")[-1] for name, _ in policy.model.named_modules()}
    assert {"qkv_proj", "gate_up_proj"} < names
    assert not {"q_proj", "gate_proj"} & names


def test_more_tokens_than_logits_are_refused_before_a_model_reads_beyond_its_table(
    tmp_path: Path,
) -> None:
    write_family_words(tmp_path, "phi-3.5", ["A causes B."], 270, 256)
    with pytest.raises(ValueError, match="do not fit into 256 logits"):
        write_random_family(tmp_path, "phi-3.5", replace(SHAPE, logit_width=256), 1)
