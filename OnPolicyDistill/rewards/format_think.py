"""Whether a completion thinks once, in front, and then says something."""

from __future__ import annotations

import re

from OnPolicyDistill.rewards.completion import Completion

THINKS = re.compile(r"\s*<think>(?P<thought>.*?)</think>(?P<answer>.*)", re.DOTALL)


def format_think(completion: Completion) -> float:
    """1 for `<think>` with a thought, `</think>` and an answer, each mark exactly once; else 0."""
    found = THINKS.fullmatch(completion.text)
    if found is None or not completion.is_finished:
        return 0.0
    thought, answer = found["thought"], found["answer"]
    marks = ("<think>", "</think>")
    has_more = any(mark in part for part in (thought, answer) for mark in marks)
    return float(bool(thought.strip()) and bool(answer.strip()) and not has_more)
