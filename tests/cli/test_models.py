"""Known models are listed, described and found on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from OnPolicyDistill.planning import outlook, sizes

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


def test_known_models_are_listed_with_size_and_hub_id(opd: Opd) -> None:
    (line,) = [line for line in opd("models").out.splitlines() if line.startswith("qwen2.5-7b ")]
    name, size, family, *gb = line.split()[:6]
    assert (name, size, family, gb) == ("qwen2.5-7b", "7.6B", "qwen2", ["15.2", "8.1", "4.3"])
    assert line.split()[-2:] == ["never", "Qwen/Qwen2.5-7B-Instruct"]
    listed = opd("models", "list", "--json").json()
    assert isinstance(listed, list)
    assert {"qwen2.5-32b", "qwen3-8b", "tiny-student"} <= {model["alias"] for model in listed}


def test_what_fits_this_machine_is_said_of_every_model(
    opd: Opd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "memory_limit", lambda *_: 20 * 10**9)
    monkeypatch.setattr(outlook, "memory_limit", lambda *_: 20 * 10**9)
    listed = opd("models", "--json").json()
    assert isinstance(listed, list)
    by_alias = {model["alias"]: model for model in listed}
    assert by_alias["qwen2.5-7b"]["fits_at_bits"] == 16
    assert by_alias["qwen2.5-14b"]["fits_at_bits"] == 8
    assert by_alias["qwen2.5-32b"]["fits_at_bits"] == 4
    assert by_alias["qwen2.5-72b"]["fits_at_bits"] is None
    assert by_alias["qwen2.5-72b"]["trains"] is True
    # Learning needs more than the weights.
    can_train = {alias: by_alias[alias]["can_train_at_bits"] for alias in by_alias}
    sizes_of_qwen = ("3b", "7b", "14b", "72b")
    assert [can_train[f"qwen2.5-{size}"] for size in sizes_of_qwen] == [16, 8, None, None]
    assert by_alias["gemma-3-4b"]["system_role"] == "folded"
    # Its experts were published packed, so that it has one size.
    assert by_alias["gpt-oss-20b"]["weights_gb"] == {"16": pytest.approx(13.76, abs=0.01)}


def test_what_files_hold_is_said_of_models_that_are_here(opd: Opd) -> None:
    (line,) = [line for line in opd("models").out.splitlines() if line.startswith("tiny-teacher ")]
    assert line.split() == [
        "tiny-teacher",
        "0.7M",
        "qwen2",
        *["32", "bit"] * 2,
        "never",
        "32",
        "bit",
        "embedded",
    ]
    shown = opd("models", "show", "tiny-teacher", "--json").json()
    assert isinstance(shown, dict)
    assert shown["stored"] == {"tiny-teacher": "32 bit"}
    assert (shown["fits_at_bits"], shown["can_train_at_bits"]) == (32, 32)
    assert shown["weights_gb"] == {"32": pytest.approx(0.0027, abs=0.0005)}


def test_a_model_is_shown_by_alias_or_hub_id(opd: Opd) -> None:
    for name in ("qwen2.5-32b", "Qwen/Qwen2.5-32B-Instruct"):
        shown = opd("models", "show", name, "--json").json()
        assert isinstance(shown, dict)
        assert (shown["alias"], shown["logit_width"]) == ("qwen2.5-32b", 152_064)
    text = opd("models", "show", "qwen2.5-32b").out
    assert "q_proj, k_proj" in text


def test_an_unknown_model_is_refused(opd: Opd) -> None:
    outcome = opd("models", "show", "nobody")
    assert outcome.exit_code == 2
    assert "not in the registry" in outcome.err


def test_a_folder_needs_no_download(opd: Opd, pair: Path) -> None:
    outcome = opd("models", "download", str(pair / "student"), "--json")
    assert outcome.json() == {"name": str(pair / "student"), "path": str(pair / "student")}


def test_an_embedded_pair_that_is_none_is_refused_with_those_there_are(opd: Opd) -> None:
    outcome = opd("models", "build-embedded", "--pair", "circles")
    assert outcome.exit_code == 2
    assert "squares" in outcome.err


def test_every_architecture_is_listed_with_what_it_can_do_or_why_not(opd: Opd) -> None:
    listed = opd("models", "architectures", "--json").json()
    assert isinstance(listed, list)
    by_type = {each["model_type"]: each for each in listed}
    assert by_type["gemma2"] == {
        "model_type": "gemma2",
        "train": True,
        "sample": True,
        "reason": None,
    }
    assert "Metal kernel" in by_type["bitnet"]["reason"]
    (line,) = [
        line
        for line in opd("models", "architectures").out.splitlines()
        if line.startswith("phixtral ")
    ]
    assert line.split()[:3] == ["phixtral", "no", "no"]
