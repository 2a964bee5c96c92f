"""The plan says whether a run fits, in words and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from OnPolicyDistill.cli.plan import parse_memory
from OnPolicyDistill.errors import InputError

if TYPE_CHECKING:
    from tests.cli.conftest import Opd

BIG = "distillation: {teacher_model: qwen2.5-32b, student_model: qwen2.5-7b}\n"


@pytest.fixture
def big(tmp_path: Path) -> str:
    file = tmp_path / "big.yaml"
    file.write_text(BIG, encoding="utf-8")
    return str(file)


def test_a_plan_as_json_has_verdict_total_parts_and_seconds(opd: Opd, big: str) -> None:
    outcome = opd("plan", big, "--memory", "128GB", "--chip", "m3-ultra", "--json")
    assert outcome.exit_code == 0
    plan = outcome.json()
    assert isinstance(plan, dict)
    assert plan["verdict"] in ("fits", "tight", "does_not_fit")
    assert plan["total_gb"] == pytest.approx(sum(plan["parts"].values()), abs=0.05)
    assert plan["seconds"] > 0


def test_a_plan_in_words_says_what_to_change(opd: Opd, big: str) -> None:
    outcome = opd("plan", big, "--memory", "64GB", "--chip", "m3-ultra")
    assert outcome.exit_code == 0
    assert outcome.out.startswith("It does not fit: needs ")
    assert "\nteacher " in outcome.out
    assert "--set " in outcome.out


def test_a_setting_changes_the_plan(opd: Opd, big: str) -> None:
    def needed(*arguments: str) -> float:
        plan = opd("plan", big, "--memory", "128", "--json", *arguments).json()
        assert isinstance(plan, dict)
        return float(plan["needed_gb"])

    assert needed("--set", "teacher_model=qwen2.5-32b-4bit") < needed() - 40


@pytest.mark.parametrize(
    ("text", "gb"), [("128GB", 128), ("128", 128), ("96.5 gb", 96.5), ("64GiB", 64)]
)
def test_memory_is_read_as_people_write_it(text: str, gb: float) -> None:
    assert parse_memory(text) == gb


@pytest.mark.parametrize("text", ["lots", "0GB", "-1", "128MB", ""])
def test_other_amounts_of_memory_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="Write it as 128GB"):
        parse_memory(text)


def test_an_unknown_chip_is_refused(opd: Opd, big: str) -> None:
    assert opd("plan", big, "--chip", "z80").exit_code == 2
