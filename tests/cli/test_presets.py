"""Listing the shipped configs, and asking for one that is not among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OnPolicyDistill.config import parse_config, parse_yaml
from OnPolicyDistill.presets import preset_files

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


def test_every_preset_is_listed_with_its_title(opd: Opd) -> None:
    listed = opd("presets", "--json").json()
    assert [line["name"] for line in listed] == list(preset_files())
    assert all(line["title"] for line in listed)
    text = opd("presets").out
    assert all(line["title"] in text for line in listed)


def test_one_preset_is_shown_as_a_config_that_can_be_copied(opd: Opd) -> None:
    text = opd("presets", "grpo/demo").out
    assert text.rstrip("\n") == preset_files()["grpo/demo"].read_text(encoding="utf-8").rstrip("\n")
    parse_config(parse_yaml(text, "copied"), "copied")


def test_an_unknown_preset_is_answered_with_those_there_are(opd: Opd) -> None:
    for command in ("train", "plan", "check"):
        outcome = opd(command, "grpo/dmeo")
        assert outcome.exit_code == 2
        assert "There is no config file or preset grpo/dmeo. Did you mean grpo/demo?" in outcome.err
        assert all(name in outcome.err for name in preset_files())
    assert "There is no preset nothing." in opd("presets", "nothing").err
