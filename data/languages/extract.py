# /// script
# requires-python = ">=3.11"
# dependencies = ["babel==2.18.0", "django==5.2.19", "django-cms==5.1.3", "wagtail==8.0.1"]
# ///
"""Draw labelled sentences from the translations of three web frameworks (all BSD-3-Clause).

`uv run data/languages/extract.py` writes schooling.jsonl, train.jsonl and validation.jsonl beside
this file. A message and all its translations have one source, and a source is in one file only.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from babel.messages.pofile import read_po

LOCALES = {
    "ar": "ar", "de": "de", "el": "el", "es": "es", "fr": "fr", "hi": "hi", "ru": "ru",
    "tr": "tr", "ur": "ur", "vi": "vi", "zh_Hans": "zh", "zh_CN": "zh",
    **dict.fromkeys(("pt", "pt_BR", "it", "nl", "pl", "sv", "uk", "bg", "fa", "ja", "ko"), "ot"),
}  # fmt: skip
FRAMEWORKS = {"django": "Django", "django-cms": "django CMS", "wagtail": "Wagtail"}
LENGTHS = {"zh": (5, 70), "ot": (8, 120)}
USUAL_LENGTHS = (12, 120)
NAMES = ("Ada", "Lima", "Atlas", "Nova")
# Of 100 sources: so many school the embedded models, so many train, the rest validate.
SCHOOLING, TRAIN = 55, 85
LIMITS = {"schooling": 330, "train": 110, "validation": 40}


@dataclass(frozen=True)
class Sentence:
    """A sentence in one language; `source` is the English message it translates."""

    text: str
    label: str
    source: str
    framework: str


def main() -> None:
    """Write the three files, each sorted by a hash so that every prefix is a fair sample."""
    parts: dict[str, dict[str, list[Sentence]]] = defaultdict(lambda: defaultdict(list))
    seen: set[str] = set()
    for sentence in sorted(all_sentences(), key=lambda s: (digest(s.text + s.label), s.source)):
        if sentence.text.casefold() in seen:
            continue
        seen.add(sentence.text.casefold())
        parts[part_of(sentence.source)][sentence.label].append(sentence)
    folder = Path(__file__).parent
    for part, by_label in parts.items():
        chosen = [s for group in by_label.values() for s in group[: LIMITS[part]]]
        chosen.sort(key=lambda s: digest(s.text))
        lines = [
            json.dumps(
                {
                    "text": s.text,
                    "label": s.label,
                    "source": f"{s.framework} {digest(s.source)[:8]}",
                },
                ensure_ascii=False,
            )
            for s in chosen
        ]
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def all_sentences() -> Iterator[Sentence]:
    """Every usable message of every framework, and the English ones they come from."""
    for package, framework in FRAMEWORKS.items():
        english: set[str] = set()
        for file in distribution(package).files or []:
            if file.suffix != ".po" or file.parts[-3] not in LOCALES:
                continue
            label = LOCALES[file.parts[-3]]
            with Path(str(file.locate())).open("rb") as stream:
                catalog = read_po(stream)
            for message in catalog:
                source, translation = first_form(message.id), first_form(message.string)
                if not source or not translation or message.fuzzy or source == translation:
                    continue
                english.add(source)
                yield from sentence_of(translation, label, source, framework)
        for source in english:
            yield from sentence_of(source, "en", source, framework)


def sentence_of(text: str, label: str, source: str, framework: str) -> Iterator[Sentence]:
    """The message as a sentence that a person could have written, if it can be one."""
    plain = spoken(text, digest(source))
    low, high = LENGTHS.get(label, USUAL_LENGTHS)
    says_enough = label == "zh" or len(plain.split()) * len(plain) > 24
    if low <= len(plain) <= high and says_enough:
        yield Sentence(plain, label, source, framework)


def spoken(text: str, salt: str) -> str:
    """Without markup, with names and numbers where the message has a gap."""
    name = NAMES[int(salt, 16) % len(NAMES)]
    number = str(2 + int(salt, 16) % 40)
    text = re.sub(r"<[^>]+>", "", html.unescape(text))
    text = re.sub(r"%\((?:\w*(?:count|num|cnt|total|max|min|size|length)\w*)\)[sdi]", number, text)
    text = re.sub(r"%\(\w+\)d|%d|%i", number, text)
    text = re.sub(r"%\(\w+\)s|%s|\{\w*\}", name, text)
    return " ".join(text.replace("%%", "%").split())


def first_form(value: object) -> str:
    """The singular of a message that has plurals."""
    return str(value[0]) if isinstance(value, tuple | list) else str(value or "")


def part_of(source: str) -> str:
    """Which file a source belongs to; its translations follow it."""
    place = int(digest(source), 16) % 100
    return "schooling" if place < SCHOOLING else "train" if place < TRAIN else "validation"


def digest(text: str) -> str:
    """A stable hash, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
