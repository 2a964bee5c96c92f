"""Phi-3's old name for longrope is said to be that, and refused where mlx-lm does not know it."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.models import llama, phi3

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.planning.architectures import architecture_problem
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.positions import position_note
from tests.architectures.tiny import tiny_config

FACTORS = {"long_factor": [1.0, 2.0, 3.0, 4.0], "short_factor": [1.0, 1.0, 1.0, 1.0]}
OLD = {"type": "su", **FACTORS}


def scaled(architecture: str, scaling: dict[str, object]) -> dict[str, object]:
    return {**tiny_config(architecture), "rope_scaling": scaling}


def test_mlx_lm_reads_the_old_name_as_longrope_and_at_every_length() -> None:
    ropes = [
        phi3.Attention(phi3.ModelArgs.from_dict(scaled("phi3", {**FACTORS, "type": name}))).rope
        for name in ("su", "longrope")
    ]
    assert type(ropes[0]) is type(ropes[1])
    assert mx.array_equal(ropes[0]._freqs, ropes[1]._freqs)
    assert ropes[0]._scale == ropes[1]._scale
    short = phi3.Attention(
        phi3.ModelArgs.from_dict(scaled("phi3", {**OLD, "short_factor": [9.0] * 4}))
    ).rope
    assert mx.array_equal(short._freqs, ropes[0]._freqs)


def test_phi_is_let_through_and_said_what_it_is() -> None:
    config = scaled("phi3", OLD)
    assert architecture_problem(config, "mine", ["train", "sample"]) is None
    note = position_note(config, "mine")
    assert note is not None
    assert "by su, the old name of longrope. mlx-lm reads it as longrope" in note.message
    assert position_note(scaled("phi3", {**FACTORS, "type": "longrope"}), "mine") is None


@pytest.mark.parametrize("key", ["type", "rope_type"])
def test_it_is_refused_where_mlx_lm_cannot_build_it(key: str) -> None:
    config = scaled("llama", {**FACTORS, key: "su"})
    with pytest.raises(ValueError, match="su"):
        llama.Model(llama.ModelArgs.from_dict(config))
    problem = architecture_problem(config, "mine")
    assert problem is not None
    assert "mine scales its rotary positions by su" in problem.message
    assert "and not in llama" in problem.message
    nested = {"model_type": "mistral3", "text_config": {"rope_parameters": {"rope_type": "su"}}}
    assert architecture_problem(nested, "mine") is not None


def test_the_check_says_it_before_anything_is_loaded(model_folder, tmp_path: Path) -> None:
    plain, old = model_folder("plain"), model_folder("old")
    config = {**json.loads((old / "config.json").read_text()), "rope_scaling": OLD}
    codes = {}
    for family in ("phi3", "qwen2"):
        (old / "config.json").write_text(json.dumps({**config, "model_type": family}))
        values = {
            "student_model": str(plain),
            "teacher_model": str(old),
            "prompts": "data/train/opd_train_prompts.jsonl",
            "validation_prompts": "data/validation/opd_val_prompts.jsonl",
        }
        report = check_run(parse_config({"distillation": values}), tmp_path)
        codes[family] = {
            (found.severity, found.code): found.field
            for found in report.findings
            if found.code in ("architecture", "positions")
        }
    assert codes["phi3"] == {("warning", "positions"): "distillation.teacher_model"}
    assert codes["qwen2"] == {("error", "architecture"): "distillation.teacher_model"}
    with pytest.raises(ModelError, match="the old name of longrope"):
        load_policy(str(old))
