"""The map: pairs that go together, by length, in the most exact forms that fit."""

from functools import cache
from pathlib import Path

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.planning.pairs import LEAST_RATIO, MOST_RATIO, map_pairs
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.presets import read_preset
from OnPolicyDistill.registry import find_model

TINY = frozenset({"tiny-teacher", "tiny-student"})
LENGTHS = (256, 1024)


@cache
def mapped(memory_gb, name="default", here=TINY):
    return map_pairs(parse_config(read_preset(Path(name))), LENGTHS, here, memory_gb)


def test_each_cell_is_the_plan_of_that_pair_and_length_with_what_the_cell_changes():
    values = read_preset(Path("default"))
    cells = [
        (pair, *cell)
        for pair in mapped(32).pairs
        for cell in zip(LENGTHS, pair.outlooks, strict=True)
    ]
    assert {found.verdict for _, _, found in cells} == {"fits", "tight", "does_not_fit"}
    assert any(found.changes for _, _, found in cells)
    for pair, length, found in cells[::12]:
        changes = {
            "student_model": pair.student.name,
            "teacher_model": pair.teacher.name,
            "max_generation_tokens": length,
            **found.changes,
        }
        block = {**values["distillation"], **changes}
        plan = plan_run(parse_config({"method": "on_policy", "distillation": block}), 32)
        assert (plan.verdict, plan.needed_gb) == (found.verdict, found.needed_gb)
        assert found.seconds == (None if plan.verdict == "does_not_fit" else plan.seconds)


def test_pairs_speak_the_same_tokens_and_the_teacher_is_the_larger():
    for pair in mapped(64).pairs:
        student, teacher = find_model(pair.student.name), find_model(pair.teacher.name)
        assert student.chat.tokenizer == teacher.chat.tokenizer
        assert student.chat.thinking == teacher.chat.thinking
        ratio = pair.teacher.parameters / pair.student.parameters
        assert LEAST_RATIO <= ratio <= MOST_RATIO


def test_pairs_on_this_machine_come_first_and_say_how_they_are_stored():
    first, *others = mapped(16).pairs
    assert (first.teacher.name, first.student.name) == ("tiny-teacher", "tiny-student")
    assert (first.teacher.precision, first.teacher.is_here) == ("32 bit", True)
    assert not any(pair.teacher.is_here and pair.student.is_here for pair in others)


def test_more_memory_takes_a_more_exact_form_and_packs_the_teacher_first():
    def forms(memory_gb):
        (pair,) = [
            pair
            for pair in mapped(memory_gb).pairs
            if (pair.teacher.alias, pair.student.alias) == ("qwen2.5-14b", "qwen2.5-3b")
        ]
        return pair.teacher.precision, pair.student.precision

    assert [forms(gb) for gb in (16, 24, 36, 64)] == [
        ("4 bit", "4 bit"),
        ("4 bit", "8 bit"),
        ("8 bit", "16 bit"),
        ("16 bit", "16 bit"),
    ]


def test_a_form_on_this_machine_is_taken_before_one_that_must_be_downloaded():
    here = frozenset({"qwen2.5-14b-4bit", "qwen2.5-3b-8bit"})
    first = mapped(512, here=here).pairs[0]
    assert {first.teacher.name, first.student.name} == here


def test_longer_completions_never_need_less():
    for pair in mapped(48).pairs:
        short, long = (found.needed_gb for found in pair.outlooks)
        if pair.outlooks[0].changes == pair.outlooks[1].changes:
            assert short <= long


def test_pairs_of_models_that_see_are_those_of_the_method_that_shows_pictures():
    assert {find_model(pair.teacher.name).vision for pair in mapped(128).pairs} == {False}
    seeing = mapped(128, "vlm_distillation/default").pairs
    assert {find_model(pair.student.name).vision for pair in seeing} == {True}


def test_a_method_without_pairs_is_refused():
    with pytest.raises(InputError, match="not planned by pairs"):
        mapped(64, "grpo/default")
