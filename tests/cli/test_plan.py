"""The plan says whether a run fits, in words and as JSON."""

from __future__ import annotations

import json
import re
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
    assert outcome.exit_code == 2
    assert outcome.out.startswith("It does not fit: needs ")
    assert "\nteacher " in outcome.out
    offers = [line for line in outcome.out.splitlines() if line.startswith("Or: ")]
    assert offers
    assert all("--set " in offer and "does not fit" not in offer for offer in offers)


def test_a_plan_of_weeks_says_days_and_slow_steps_say_how_long_one_takes(
    opd: Opd, big: str
) -> None:
    out = opd("plan", big, "--memory", "8GB", "--chip", "m1").out
    assert re.search(r"total +\d+\.\d\d \(a step every \d+ min \d\d s\)", out)
    assert re.search(r"The run of 1000 steps: \d+ days \d+ h, between", out)
    assert "0.0 steps" not in out
    assert "No change of these settings makes it fit" in out
    assert "Or: " not in out


def test_a_plan_has_no_row_of_what_its_run_does_not_do(opd: Opd) -> None:
    def rows(preset: str) -> set[str]:
        table = opd("plan", preset).out.partition("a step")[2].partition("The run")[0]
        return {line.split()[0] for line in table.splitlines()[1:] if line}

    assert rows("grpo/demo") == {"sampling", "learning", "total"}
    assert rows("vision_surgery/demo") == {"learning", "total"}
    assert rows("demo") == {"sampling", "scoring", "learning", "total"}


@pytest.mark.parametrize("preset", ["demo", "grpo/demo", "vlm_distillation/demo"])
def test_presets_of_what_ships_do_not_warn_of_themselves(opd: Opd, preset: str) -> None:
    plan = opd("plan", preset, "--json").json()
    assert isinstance(plan, dict)
    assert plan["warnings"] == []


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


def test_a_plan_of_several_machines_says_what_one_two_and_four_gain(
    opd: Opd, big: str, tmp_path: Path
) -> None:
    mac = {"ips": ["192.0.2.1"], "chip": "m3-ultra", "memory_gb": 256, "mb_per_second": 1250}
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps({"hosts": [{"ssh": "one", **mac}, {"ssh": "two", **mac}]}))
    outcome = opd("plan", big, "--hosts", str(file), "--json")
    assert outcome.exit_code == 0
    plan = outcome.json()
    assert isinstance(plan, dict)
    one, two, four = plan["counts"]
    assert one["seconds"] > two["seconds"] > four["seconds"]
    assert [rank["host"] for rank in two["ranks"]] == ["one", "two"]
    said = opd("plan", big, "--hosts", str(file)).out
    assert re.search(r"^2 .* 1\.\d\d +fits$", said, re.MULTILINE)
    assert "A step adds up 161.5 MB over 1250 MB/s" in said

    mac["memory_gb"] = 64
    file.write_text(json.dumps({"hosts": [{"ssh": "one", **mac}, {"ssh": "two", **mac}]}))
    assert opd("plan", big, "--hosts", str(file)).exit_code == 2
    refused = opd("plan", big, "--hosts", str(file), "--memory", "64GB")
    assert refused.exit_code == 2
    assert "--hosts says what machines there are" in refused.err
