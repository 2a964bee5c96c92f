"""Graders are found by name, and there is no third one in silence."""

from __future__ import annotations

import pytest

from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.grading.graders import GRADERS, grade


def test_each_grader_marks_as_its_name_says():
    assert grade("exact_match", " 3\n", "3") == 1.0
    assert grade("exact_match", r"\boxed{3}", "3") == 0.0
    assert grade("boxed", r"So \boxed{3.0}", "3") == 1.0
    assert grade("boxed", "3", "3") == 0.0
    assert grade("boxed", r"\boxed{3.04}", "3", tolerance=0.05) == 1.0
    assert grade("boxed", r"\boxed{3}", "3", thought_opened=True) == 0.0


def test_an_unknown_grader_is_refused_in_words():
    with pytest.raises(DatasetError, match=r"no grader 'number'\. Use exact_match or boxed"):
        grade("number", "3", "3")
    assert GRADERS == ("exact_match", "boxed")
