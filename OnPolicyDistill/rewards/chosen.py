"""The rewards that a config names, as functions, and what they give for a step's completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from OnPolicyDistill.rewards.boxed import boxed
from OnPolicyDistill.rewards.completion import Completion, Reward
from OnPolicyDistill.rewards.exact import exact
from OnPolicyDistill.rewards.format_think import format_think
from OnPolicyDistill.rewards.label import label
from OnPolicyDistill.rewards.length import length
from OnPolicyDistill.rewards.python_file import load_reward
from OnPolicyDistill.settings.grpo import RewardKind, RewardSettings

# From this grade on a completion counts as right; exact and label give 0 or 1.
RIGHT = 1.0


@dataclass(frozen=True, slots=True)
class ChosenReward:
    """A reward by name, with its weight."""

    kind: RewardKind
    weight: float
    grade: Reward


@dataclass(frozen=True, slots=True)
class Grades:
    """What was given to completions: by reward, and in all; None where nothing could grade."""

    by_kind: dict[RewardKind, tuple[float | None, ...]]
    totals: tuple[float | None, ...]


def choose_rewards(
    settings: Sequence[RewardSettings], answers: Sequence[str]
) -> tuple[ChosenReward, ...]:
    """Make functions of the settings; `answers` are those of the prompts, labels by default.

    Raises:
        ConfigError: a Python file is not there or has no reward.
        RunError: a Python file cannot be run.
    """
    return tuple(ChosenReward(one.kind, one.weight, _reward(one, answers)) for one in settings)


def grade_all(rewards: Sequence[ChosenReward], completions: Sequence[Completion]) -> Grades:
    """Grade every completion by every reward, each once.

    The total is the weighted sum; what could not grade a completion that others graded adds
    nothing to it.

    Raises:
        RunError: a user's reward failed.
    """
    by_kind = {one.kind: tuple(map(one.grade, completions)) for one in rewards}
    totals: list[float | None] = []
    for place in range(len(completions)):
        given = [(one.weight, by_kind[one.kind][place]) for one in rewards]
        parts = [weight * grade for weight, grade in given if grade is not None]
        totals.append(sum(parts) if parts else None)
    return Grades(by_kind, tuple(totals))


def _reward(one: RewardSettings, answers: Sequence[str]) -> Reward:
    match one.kind:
        case "exact":
            return exact
        case "label":
            labels = one.labels or tuple(sorted(set(answers)))
            return partial(label, labels=labels, answer_prefix=one.answer_prefix)
        case "boxed":
            return partial(boxed, tolerance=one.tolerance)
        case "format_think":
            return format_think
        case "length":
            return partial(length, free_tokens=one.free_tokens)
        case "python":
            assert one.file is not None
            return load_reward(Path(one.file))
        case _:
            assert_never(one.kind)
