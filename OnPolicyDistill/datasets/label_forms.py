r"""Where a reply may say its label: behind the answer's prefix, in a box, in JSON, before brackets.

`Answer: en`, the full-width `Answer：en`, `\boxed{en}`, `{"label": "en"}`, `en (English)`.
"""  # noqa: RUF002

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from OnPolicyDistill.grading.boxed import last_box

# Keys that hold the label of an answer in JSON.
LABEL_KEYS = ("label", "answer", "final_answer", "class", "category")
COLONS = ":："  # noqa: RUF001
TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf)\{([^{}]*)\}")
EXPLAINED = re.compile(r"\A(.+?)\s*[(（]([^()（）]*)[)）][\s.。]*\Z", re.DOTALL)  # noqa: RUF001
FENCE = re.compile(r"\A```\w*\s*|\s*```\Z")


def behind_prefix(answer: str, prefix: str) -> str | None:
    """What follows the last prefix, in any case and with either colon; None where it is not there.

    An empty prefix stands before everything.
    """
    words = prefix.split()
    if not words:
        return answer.strip()
    pattern = r"\s+".join(_pattern(word) for word in words)
    ends = [found.end() for found in re.finditer(pattern, answer, re.IGNORECASE)]
    return answer[ends[-1] :] if ends else None


def first_line(text: str) -> str:
    """The first line of a text that is not blank."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def further_forms(text: str) -> Iterator[str]:
    """What a text may have for a label besides being one: its last box, its JSON's value."""
    box = last_box(text)
    if isinstance(box, str):
        yield TEXT_COMMAND.sub(r"\1", box).strip().strip("$")
    value = _in_json(text)
    if value is not None:
        yield value


def explained(text: str) -> tuple[str, str] | None:
    """The words before a bracket at the end, and those in it; None where there is none."""
    found = EXPLAINED.match(text)
    return None if found is None else (found.group(1), found.group(2))


def _pattern(word: str) -> str:
    parts = re.split(f"[{COLONS}]", word)
    return rf"\s*[{COLONS}]".join(re.escape(part) for part in parts)


def _in_json(text: str) -> str | None:
    body = FENCE.sub("", text.strip())
    if not (body.startswith("{") and body.endswith("}")):
        return None
    try:
        value: JsonValue = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    named = [found for key, found in value.items() if key.lower() in LABEL_KEYS]
    candidates = named or (list(value.values()) if len(value) == 1 else [])
    is_label = len(candidates) == 1 and isinstance(candidates[0], str | int)
    return str(candidates[0]) if is_label and not isinstance(candidates[0], bool) else None
