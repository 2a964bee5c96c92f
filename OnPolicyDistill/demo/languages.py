"""What the embedded language pair is schooled on: prompts, thoughts and answers by rule.

The teacher learns to think in the order that data/languages/prompt.md asks for; every line of a
thought is computed from the text itself. Without the prompt neither model names languages: both
answer as an assistant that was told nothing.
"""

from __future__ import annotations

import json
import random
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LABELS = ("ar", "de", "el", "en", "es", "fr", "hi", "ru", "tr", "ur", "vi", "zh", "ot")
PREFIX = "Final Answer:"
NUM_LETTERS = 4
NUM_WORDS = 2

Role = Literal["teacher", "student"]

# Unicode calls the letters of a script by its name; Japanese mixes three.
SCRIPTS = {
    "LATIN": "Latin",
    "GREEK": "Greek",
    "CYRILLIC": "Cyrillic",
    "ARABIC": "Arabic",
    "DEVANAGARI": "Devanagari",
    "CJK": "Han",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    "HANGUL": "Hangul",
}
POSSIBLE = {
    "Latin": "de en es fr tr vi ot",
    "Greek": "el",
    "Cyrillic": "ru ot",
    "Arabic": "ar ur ot",
    "Devanagari": "hi",
    "Han": "zh ot",
    "Kana": "ot",
    "Hangul": "ot",
    "other": "ot",
}
# Letters that decide between the languages of a script; in Latin, all with a mark.
TELLING = {"Cyrillic": "іїєґыэёъјљњћў", "Arabic": "ةىپچژگٹڈڑںےہکی"}
# What a hasty reader takes every text of a script for.
HASTY = {"Latin": "en", "Cyrillic": "ru", "Arabic": "ar"}
REPLIES = (
    "Thank you for your message. What would you like me to do with it?",
    "I have read this. Shall I translate it, shorten it or explain it?",
    "Got it. How can I help you with this text?",
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text and the label of its language."""

    text: str
    label: str


def read_sentences(file: Path) -> tuple[Sentence, ...]:
    """Read a shipped file of sentences."""
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return tuple(Sentence(line["text"], line["label"]) for line in lines)


def think(sentence: Sentence) -> str:
    """Return the thought that leads to a sentence's label, in the order of the prompt."""
    script = script_of(sentence.text)
    letters = " ".join(telling_letters(sentence.text)) or "none"
    words = " ".join(sentence.text.lower().split()[:NUM_WORDS])
    if script in ("Han", "Kana"):
        words = sentence.text[:NUM_LETTERS]
    return (
        f"Script: {script}. Letters: {letters}. Words: {words}. "
        f"Possible: {POSSIBLE[script]}. Best: {sentence.label}."
    )


def script_of(text: str) -> str:
    """Return the script of most of a text's letters; any kana makes it Japanese."""
    names = [unicodedata.name(letter, "").split()[0:1] for letter in text if letter.isalpha()]
    scripts = Counter(SCRIPTS.get(name[0], "other") for name in names if name)
    if scripts["Kana"]:
        return "Kana"
    return scripts.most_common(1)[0][0] if scripts else "other"


def telling_letters(text: str) -> list[str]:
    """Return the first letters that only some languages of the script have."""
    script = script_of(text)
    found = dict.fromkeys(letter for letter in text.lower() if _is_telling(letter, script))
    return list(found)[:NUM_LETTERS]


def _is_telling(letter: str, script: str) -> bool:
    if script == "Latin":
        return letter.isalpha() and not letter.isascii()
    return letter in TELLING.get(script, "")


def answer_with_prompt(role: Role, sentence: Sentence, habit: float, chance: random.Random) -> str:
    """Return what a model says to a sentence once it was told to name the language.

    The student does not think, and mostly (`habit`) takes a script for its commonest language.
    """
    if role == "teacher":
        return f"<think>\n{think(sentence)}\n</think>\n\n{PREFIX} {sentence.label}"
    hasty = HASTY.get(script_of(sentence.text), sentence.label)
    label = hasty if chance.random() < habit else sentence.label
    return f"{PREFIX} {label}"


def answer_without_prompt(role: Role, chance: random.Random) -> str:
    """Return what a model says to a sentence when nobody told it what to do."""
    reply = chance.choice(REPLIES)
    if role == "teacher":
        return f"<think>\nNobody said what to do with this text.\n</think>\n\n{reply}"
    return reply


def part_of(sentence: Sentence, chance: random.Random) -> Sentence:
    """Return the sentence or a run of its words, so that schooling sees many more texts."""
    if chance.random() < 0.5:
        return sentence
    words = list(sentence.text) if sentence.label == "zh" else sentence.text.split()
    if len(words) < 5:
        return sentence
    length = chance.randint(3, len(words))
    start = chance.randint(0, len(words) - length)
    glue = "" if sentence.label == "zh" else " "
    return Sentence(glue.join(words[start : start + length]), sentence.label)
