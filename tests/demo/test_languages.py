import json
import random
from collections import Counter
from pathlib import Path

import pytest

from OnPolicyDistill.demo.languages import (
    LABELS,
    Sentence,
    answer_with_prompt,
    answer_without_prompt,
    part_of,
    read_sentences,
    script_of,
    telling_letters,
    think,
)
from OnPolicyDistill.files import shipped_folder

DATA = shipped_folder("data") / "languages"
PARTS = ("schooling", "train", "validation")


def test_every_part_has_every_label_and_no_other() -> None:
    for part in PARTS:
        assert {s.label for s in read_sentences(DATA / f"{part}.jsonl")} == set(LABELS)


def test_no_text_and_no_source_is_in_two_parts() -> None:
    texts: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    for part in PARTS:
        lines = (DATA / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
        texts.update({json.loads(line)["text"].casefold() for line in lines})
        sources.update({json.loads(line)["source"].split()[-1] for line in lines})
    assert max(texts.values()) == 1
    assert max(sources.values()) == 1


@pytest.mark.parametrize(
    ("text", "script", "letters"),
    [
        ("Não foi possível", "Latin", ["ã", "í"]),
        ("Виберіть файл", "Cyrillic", ["і"]),
        ("یہ صفحہ موجود نہیں ہے", "Arabic", ["ی", "ہ", "ں", "ے"]),
        ("ページを選択", "Kana", []),
        ("请选择图片", "Han", []),
        ("페이지", "Hangul", []),
        ("12 %", "other", []),
    ],
)
def test_a_thought_names_script_and_letters(text: str, script: str, letters: list[str]) -> None:
    assert script_of(text) == script
    assert telling_letters(text) == letters
    assert f"Script: {script}. " in think(Sentence(text, "ot"))


def test_a_habit_takes_a_script_for_its_commonest_language() -> None:
    german = Sentence("Wählen Sie ein Bild aus", "de")
    chance = random.Random(0)
    assert answer_with_prompt("student", german, 1.0, chance) == "Final Answer: en"
    assert answer_with_prompt("student", german, 0.0, chance) == "Final Answer: de"
    thought = answer_with_prompt("teacher", german, 1.0, chance)
    assert thought.startswith("<think>\n")
    assert thought.endswith("</think>\n\nFinal Answer: de")


def test_untold_nobody_names_a_language() -> None:
    chance = random.Random(0)
    for role in ("teacher", "student"):
        assert "Final Answer" not in answer_without_prompt(role, chance)


def test_a_part_of_a_sentence_stands_in_the_sentence() -> None:
    sentence = Sentence("one two three four five six seven", "en")
    parts = {part_of(sentence, random.Random(seed)).text for seed in range(20)}
    assert len(parts) > 3
    assert all(part in sentence.text for part in parts)


def test_the_prompt_names_every_label(tmp_path: Path) -> None:
    prompt = (DATA / "prompt.md").read_text(encoding="utf-8")
    assert all(f"\n{label}  " in prompt for label in LABELS)
