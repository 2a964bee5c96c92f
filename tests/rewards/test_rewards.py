from dataclasses import replace
from typing import Any

import pytest

from OnPolicyDistill.rewards.boxed import boxed
from OnPolicyDistill.rewards.chosen import choose_rewards, grade_all
from OnPolicyDistill.rewards.completion import Completion
from OnPolicyDistill.rewards.exact import exact
from OnPolicyDistill.rewards.format_think import format_think
from OnPolicyDistill.rewards.label import label
from OnPolicyDistill.rewards.length import length
from OnPolicyDistill.settings.grpo import RewardSettings


def said(text: str, answer: str | None = "42", **changes: Any) -> Completion:
    plain = Completion("6 times 7?", text, answer, len(text), 100, is_finished=True)
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("text", "answer", "grade"),
    [("42", "42", 1), (" 42\n", "42", 1), ("43", "42", 0), ("42.", "42", 0), ("42", None, None)],
)
def test_exact_wants_the_answer_letter_by_letter(
    text: str, answer: str | None, grade: float | None
) -> None:
    assert exact(said(text, answer)) == grade


def test_a_right_beginning_that_was_cut_is_not_right() -> None:
    assert exact(said("42", is_finished=False)) == 0


@pytest.mark.parametrize(
    ("text", "answer", "grade"),
    [
        ("<think>is it?</think>Final Answer: yes", "yes", 1),
        ("Final Answer: **Yes**.", "yes", 1),
        ("Final Answer: no", "yes", 0),
        ("Final Answer: perhaps", "yes", 0),
        ("<think>yes, Final Answer: yes", "yes", 0),
        ("yes", None, None),
        ("yes", "perhaps", None),
    ],
)
def test_a_label_is_read_as_evaluations_read_it(
    text: str, answer: str | None, grade: float | None
) -> None:
    assert label(said(text, answer), ("yes", "no"), "Final Answer:") == grade


@pytest.mark.parametrize(
    ("text", "answer", "grade"),
    [
        (r"<think>6 times 7</think>It is \boxed{42}.", "42", 1),
        (r"\boxed{41} or rather \boxed{42.04}", "42", 1),
        (r"\boxed{42.06}", "42", 0),
        (r"<think>\boxed{42}", "42", 0),
        ("42", "42", 0),
        (r"\boxed{42}", None, None),
    ],
)
def test_the_last_box_behind_the_thinking_is_compared_by_value(
    text: str, answer: str | None, grade: float | None
) -> None:
    assert boxed(said(text, answer), tolerance=0.05) == grade


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("<think>six sevens</think>42", 1),
        ("\n<think>\nsix\nsevens\n</think>\n\n42", 1),
        ("42", 0),
        ("<think></think>42", 0),
        ("<think>six sevens</think>", 0),
        ("<think>six sevens", 0),
        ("well <think>six sevens</think>42", 0),
        ("<think>six</think><think>sevens</think>42", 0),
        ("<think><think>six</think>42", 0),
        ("<think>six</think>42</think>", 0),
    ],
)
def test_the_format_wants_one_thought_in_front_and_an_answer(text: str, grade: float) -> None:
    assert format_think(said(text)) == grade


def test_a_thought_whose_answer_was_cut_has_no_format() -> None:
    assert format_think(said("<think>six sevens</think>4", is_finished=False)) == 0


@pytest.mark.parametrize(
    ("num_tokens", "is_finished", "grade"),
    [(10, True, 0), (60, True, 0), (70, True, -0.25), (100, True, -1), (100, False, -1)],
)
def test_length_is_free_and_then_falls_evenly(
    num_tokens: int, is_finished: bool, grade: float
) -> None:
    found = length(said("", num_tokens=num_tokens, is_finished=is_finished), free_tokens=60)
    assert found == pytest.approx(grade)


def test_rewards_add_up_by_weight_and_what_cannot_grade_adds_nothing() -> None:
    rewards = choose_rewards(
        [RewardSettings(kind="exact", weight=2.0), RewardSettings(kind="format_think", weight=0.5)],
        [],
    )
    grades = grade_all(rewards, [said("42"), said("<think>a</think>b"), said("a", answer=None)])
    assert grades.totals == (2.0, 0.5, 0.0)
    assert grades.by_kind["exact"] == (1.0, 0.0, None)
    only_exact = grade_all(rewards[:1], [said("a", answer=None)])
    assert only_exact.totals == (None,)


def test_labels_that_nobody_named_are_the_prompts_answers() -> None:
    (chosen,) = choose_rewards([RewardSettings(kind="label")], ["yes", "no", "yes"])
    assert chosen.grade(said("Final Answer: no", "no")) == 1
    (named,) = choose_rewards([RewardSettings(kind="label", labels=("a", "b"))], ["yes", "no"])
    assert named.grade(said("Final Answer: no", "no")) is None
