from dataclasses import replace
from pathlib import Path

import pytest

from OnPolicyDistill.demo.language_pair import (
    ANSWERER,
    THINKER,
    PupilPlan,
    Term,
    build_language_pair,
    conversations,
    first_sentence,
)
from OnPolicyDistill.demo.languages import read_sentences
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.models.loading import load_policy

DATA = shipped_folder("data") / "languages"
PROMPT = (DATA / "prompt.md").read_text(encoding="utf-8")
BRIEF = replace(
    ANSWERER,
    shape=replace(ANSWERER.shape, num_layers=1),
    terms=(Term("short", False, 16, 1, 1, 2, 1e-3), Term("short again", False, 16, 1, 1, 2, 1e-3)),
)


def ignore(_what: str, _done: int, _total: int) -> None:
    pass


def test_a_build_passes_all_terms_and_loads(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    build_language_pair(tmp_path, lambda *words: said.append(words), (BRIEF,))
    policy = load_policy(str(tmp_path / "models" / BRIEF.name))
    assert policy.vocab_size < policy.model.args.vocab_size == BRIEF.shape.logit_width
    assert sum(done == total for _, done, total in said) >= len(BRIEF.terms)


@pytest.mark.parametrize("plan", [THINKER, ANSWERER])
def test_a_long_conversation_is_told_all_of_the_prompt_or_nothing(plan: PupilPlan) -> None:
    long = plan.terms[-1]
    sentences = read_sentences(DATA / "schooling.jsonl")
    found = list(conversations(plan, long, sentences, PROMPT))
    assert found == list(conversations(plan, long, sentences, PROMPT))
    systems = [
        message["content"]
        for conversation in found
        for message in conversation["messages"]
        if message["role"] == "system"
    ]
    assert 0 < len(systems) < len(found) == long.num_conversations
    assert set(systems) == {PROMPT}


def test_the_short_term_tells_the_first_sentence() -> None:
    assert first_sentence(PROMPT).count(".") == 1
    assert PROMPT.startswith(first_sentence(PROMPT))
