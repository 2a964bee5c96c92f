"""The embedded families: how they are made, and what is shipped of them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.datasets.causal_graphs import split_of
from OnPolicyDistill.datasets.causal_sets import LEVELS, Split, distinct_causal, write_causal
from OnPolicyDistill.demo.causal_families import (
    FAMILY_PLANS,
    HABIT,
    FamilyPlan,
    build_causal_families,
    lessons,
)
from OnPolicyDistill.files import shipped_folder

DATA = shipped_folder("data")
SIZES: dict[Split, int] = {"train": 400, "validation": 120, "test": 300}
SAME_FOR_ANY_LENGTH = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
)


def test_most_lessons_judge_by_habit_and_none_is_about_a_held_out_graph() -> None:
    plan = replace(FAMILY_PLANS[0], num_steps=20)
    found = list(lessons(plan))
    assert found == list(lessons(plan))
    told = [str(one["completion"]) for one in found]
    assert 0 < sum("common effect" in one for one in told) < len(told) * (1 - HABIT)
    held_out = {
        one.prompt
        for part in ("validation", "test")
        for one in distinct_causal(13, part, SIZES[part], LEVELS["easy"])
    }
    assert not held_out & {str(one["prompt"]) for one in found}


@pytest.mark.parametrize("plan", FAMILY_PLANS, ids=lambda plan: plan.name)
def test_two_builds_of_one_plan_give_the_same_bytes(plan: FamilyPlan, tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    plans = [replace(plan, name=name, num_steps=1) for name in ("once", "twice")]
    build_causal_families(tmp_path, lambda *words: said.append(words), plans)
    once, twice = (sorted((tmp_path / "models" / one.name).iterdir()) for one in plans)
    assert [file.name for file in once] == [file.name for file in twice]
    for one, other in zip(once, twice, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert said[-1] == ("training the embedded models", 2, 2)
    for name in SAME_FOR_ANY_LENGTH:
        shipped = DATA / "models" / plan.name / name
        assert (tmp_path / "models" / "once" / name).read_bytes() == shipped.read_bytes()


def test_the_shipped_task_is_what_the_generator_writes(tmp_path: Path) -> None:
    files = write_causal(tmp_path, SIZES, LEVELS["easy"], seed=13, thinking=True)
    for file in files.values():
        assert file.read_bytes() == (DATA / "causal" / file.name).read_bytes()
    for part, size in SIZES.items():
        examples = distinct_causal(13, part, size, LEVELS["easy"])
        assert {split_of(one.graph) for one in islice(examples, size)} == {part}


def test_the_three_are_of_their_families_stored_in_16_bits_and_small() -> None:
    sizes = []
    for plan in FAMILY_PLANS:
        folder = DATA / "models" / plan.name
        weights = mx.load(str(folder / "model.safetensors"))
        assert {array.dtype for array in weights.values()} == {mx.bfloat16}
        fused = any("qkv_proj" in name for name in weights)
        assert fused == (plan.family == "phi-3.5")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        assert config["model_type"] == ("phi3" if fused else "qwen2")
        sizes.append(sum(file.stat().st_size for file in folder.iterdir()))
    assert max(sizes) < 700_000
    assert sum(sizes) < 2_200_000
