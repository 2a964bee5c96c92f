r"""Grades by the last \boxed{}: answers in GEO3K's style, and texts made to keep a grader busy."""

from __future__ import annotations

import pytest

from OnPolicyDistill.grading.boxed import MAX_BOX_CHARACTERS, ROUNDED, grade_boxed
from OnPolicyDistill.grading.latex_numbers import MAX_STEPS

# What stands in the box, the right answer as GEO3K writes it, strictly right, right within 0.05.
ANSWERS = [
    (r"2\sqrt{221}", r"2 \sqrt { 221 }", 1, 1),
    (r"2 \sqrt {221}", r"2 \sqrt { 221 }", 1, 1),
    (r"\sqrt{884}", r"2 \sqrt { 221 }", 1, 1),
    (r"2√221", r"2 \sqrt { 221 }", 1, 1),
    ("29.73", r"2 \sqrt { 221 }", 0, 1),
    ("29.732137494637012", r"2 \sqrt { 221 }", 1, 1),
    ("29.6", r"2 \sqrt { 221 }", 0, 0),
    (r"2\sqrt{212}", r"2 \sqrt { 221 }", 0, 0),
    ("270", "270", 1, 1),
    ("270.0", "270", 1, 1),
    (r"270^\circ", "270", 1, 1),
    (r"270^{\circ}", "270", 1, 1),
    ("270°", "270", 1, 1),
    (r"270\text{ degrees}", "270", 1, 1),
    (r"270\degree", "270", 1, 1),
    ("207", "270", 0, 0),
    ("48.2", "48.2", 1, 1),
    ("48.20", "48.2", 1, 1),
    ("48.23", "48.2", 0, 1),
    ("48.25", "48.2", 0, 1),
    ("48.3", "48.2", 0, 0),
    ("48", "48.2", 0, 0),
    ("482", "48.2", 0, 0),
    (r"\frac{15}{2}", r"\frac { 15 } { 2 }", 1, 1),
    (r"\dfrac{15}{2}", r"\frac { 15 } { 2 }", 1, 1),
    ("15/2", r"\frac { 15 } { 2 }", 1, 1),
    ("7.5", r"\frac { 15 } { 2 }", 1, 1),
    (r"7\frac{1}{2}", r"\frac { 15 } { 2 }", 1, 1),
    (r"7\dfrac12", "7.5", 1, 1),
    ("7 1/2", r"\frac { 15 } { 2 }", 1, 1),
    (r"\frac{2}{15}", r"\frac { 15 } { 2 }", 0, 0),
    (r"\frac12", "0.5", 1, 1),
    (r"\frac{1}{3}", "0.33", 0, 1),
    (r"-\frac{1}{2}", "-0.5", 1, 1),
    ("\N{MINUS SIGN}4", "-4", 1, 1),
    ("4", "-4", 0, 0),
    (r"9\sqrt{3}", r"9 \sqrt 3", 1, 1),
    (r"\frac{9\sqrt{3}}{1}", r"9 \sqrt 3", 1, 1),
    (r"\frac{27}{\sqrt{3}}", r"9 \sqrt 3", 1, 1),
    (r"\sqrt[3]{27}", "3", 1, 1),
    (r"\sqrt[4]{16}", "2", 1, 1),
    (r"\frac{\sqrt{3}}{2}", r"\frac { \sqrt { 3 } } { 2 }", 1, 1),
    (r"\frac{1+\sqrt{5}}{2}", "1.618", 0, 1),
    (r"12\pi", r"12 \pi", 1, 1),
    (r"12π", r"12 \pi", 1, 1),
    ("37.7", r"12 \pi", 0, 1),
    (r"\frac{4}{3}\pi", r"\frac { 4 \pi } { 3 }", 1, 1),
    (r"36\pi - 27\sqrt{3}", r"36 \pi - 27 \sqrt { 3 }", 1, 1),
    (r"x = 15", "15", 1, 1),
    (r"m\angle A = 61", "61", 1, 1),
    (r"AB \approx 29.7", "29.7", 1, 1),
    (r"2\sqrt{221} \approx 29.7", r"2 \sqrt { 221 }", 1, 1),
    (r"$15$", "15", 1, 1),
    (r"\(15\)", "15", 1, 1),
    ("15.", "15", 1, 1),
    ("15 cm", "15", 1, 1),
    (r"15\text{ cm}^2", "15", 1, 1),
    (r"15\ \mathrm{cm}", "15 centimeters", 1, 1),
    ("15 square units", "15", 1, 1),
    ("15 sq. ft", r"15 \text{ ft}^2", 1, 1),
    ("15 mm", "15 cm", 0, 0),
    (r"1,234.5", "1234.5", 1, 1),
    (r"12{,}345", "12345", 1, 1),
    (r"12\,345", "12345", 1, 1),
    (r"50\%", "0.5", 1, 1),
    ("50", r"50 \%", 1, 1),
    (r"0.5\%", "0.5", 0, 0),
    (r"3.2 \times 10^{5}", "320000", 1, 1),
    ("3.2e5", "320000", 1, 1),
    (r"2^{10}", "1024", 1, 1),
    ("2^10", "1024", 1, 1),
    (r"\left( \frac{1}{2} \right)^2", "0.25", 1, 1),
    ("A", "A", 1, 1),
    ("(A)", "A", 1, 1),
    (r"\text{A}", "a", 1, 1),
    ("B", "A", 0, 0),
    ("Yes.", "yes", 1, 1),
    (r"\left[0, 5\right)", "[0,5)", 1, 1),
    ("(0,5)", "[0,5)", 0, 0),
    ("3:4", "3 : 4", 1, 1),
    ("A", "3", 0, 0),
    (r"\frac{a}{b}", "3", 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(("box", "answer", "strict", "near"), ANSWERS)
def test_an_answer_in_geo3ks_style_is_graded_by_its_value(box, answer, strict, near):
    text = rf"So the answer is \boxed{{{box}}}."
    assert grade_boxed(text, answer).mark == strict
    assert grade_boxed(text, answer, ROUNDED).mark == near


def test_the_table_has_right_and_wrong_answers_enough():
    assert len(ANSWERS) >= 60
    assert sum(not strict for _, _, strict, _ in ANSWERS) >= 15


NINES = "9^{9^{9^9}}"
HOSTILE = {
    "a tower of powers": NINES,
    "a tower in braces": "9^{" * 60 + "9" + "}" * 60,
    "ten million digits": "9" * 10_000_000,
    "ten million braces": "{" * 10_000_000,
    "ten million closed braces": "{" * 5_000_000 + "}" * 5_000_000,
    "deep groups": "(" * 200 + "3" + ")" * 200,
    "deep roots": r"\sqrt{" * 60 + "9" + "}" * 60,
    "deep fractions": r"\frac{1}{" * 60 + "3" + "}" * 60,
    "not a number": "nan",
    "infinity": "inf",
    "an infinite float": "1e999",
    "an infinite sign": r"\infty",
    "division by zero": "1/0",
    "division by a zero root": r"\frac{1}{\sqrt{0}}",
    "root of less than nothing": r"\sqrt{-9}",
    "the zeroth root": r"\sqrt[0]{9}",
    "a power of less than nothing": "(-3)^{0.5}",
    "digits of another script": "\N{ARABIC-INDIC DIGIT THREE}",
    "another script among thousands": "3,\N{ARABIC-INDIC DIGIT THREE}33",
    "wide digits": "\N{FULLWIDTH DIGIT THREE}",
    "code": "__import__('os').system('true')",
    "a format": "{0.__class__}",
    "unbalanced group": "(3",
    "unbalanced fraction": r"\frac{3}",
    "factorials": "3!" * 50,
    "forty signs": "-" * 41 + "3",
    "many sums": "+".join("0" * 199) + "+4",
    "too many sums": "+".join("0" * 400) + "+3",
    "many digits": "3." + "0" * 100,
    "a big whole number": "3" * 16,
    "nested text": r"\text{" * 60 + "3" + "}" * 60,
    "two numbers": "3 3",
}


@pytest.mark.parametrize("box", HOSTILE.values(), ids=list(HOSTILE))
def test_what_is_made_to_keep_a_grader_busy_is_wrong_within_bounded_steps(box):
    grade = grade_boxed(rf"\boxed{{{box}}}", "3", ROUNDED)
    assert (grade.mark, grade.reason == "right") == (0.0, False)
    assert grade.steps <= MAX_STEPS + MAX_BOX_CHARACTERS + 2
    # As the right answer it is words, and no less bounded.
    assert grade_boxed(r"\boxed{3}", box).mark == 0.0


def test_many_boxes_and_thoughts_cost_no_more_than_the_last_one():
    noise = r"<think>\boxed{3}</think>" * 100_000 + r"\boxed{" * 100_000
    assert grade_boxed(noise, "3").reason == "unclosed box"
    assert grade_boxed(noise + "3}", "3").reason == "right"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The answer is 3.", "no box"),
        ("", "no box"),
        (r"\boxed 3", "no box"),
        (r"\boxed{}", "empty box"),
        (r"\boxed{ }", "empty box"),
        (r"\boxed{3", "unclosed box"),
        (r"\boxed{4}", "wrong"),
        (r"\boxed{three}", "not a number"),
        (r"\boxed{" + "3 " * 2000 + "}", "box too long"),
        (r"<think>\boxed{3}", "unclosed thought"),
        (r"<think>a</think> <think>\boxed{3}", "unclosed thought"),
        (r"<think>\boxed{3}</think> It is 3.", "no box"),
        (r"<think>\boxed{4}</think> \boxed{3}", "right"),
        (r"\boxed{4}</think>\boxed{3}", "right"),
        (r"\boxed{4} or rather \boxed{3}", "right"),
        (r"\boxed{3} or rather \boxed{4}", "wrong"),
        (r"\boxed{\boxed{3}}", "right"),
        (r"\boxed {3}", "right"),
        (r"\boxed{\frac{9}{3}}", "right"),
    ],
)
def test_the_last_box_behind_the_last_thought_counts_and_the_reason_is_said(text, reason):
    assert grade_boxed(text, "3").reason == reason


def test_where_the_prompt_opened_the_thought_an_answer_needs_its_end():
    cut = r"Perhaps \boxed{3}"
    assert grade_boxed(cut, "3").mark == 1.0
    assert grade_boxed(cut, "3", thought_opened=True).reason == "unclosed thought"
    assert grade_boxed(cut + r"</think>\boxed{3}", "3", thought_opened=True).mark == 1.0


def test_units_that_differ_are_told():
    assert grade_boxed(r"\boxed{15\text{ mm}}", "15 cm").reason == "other unit"
    assert grade_boxed(r"\boxed{15\text{ cm}^2}", "15 cm").reason == "other unit"
    assert grade_boxed(r"\boxed{15\text{ cm}^2}", "15 square centimeters").reason == "right"
