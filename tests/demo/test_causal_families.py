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
from OnPolicyDistill.datasets.labelled import parse_label
from OnPolicyDistill.demo.causal_families import (
    FAMILY_PLANS,
    HABIT,
    FamilyPlan,
    build_causal_families,
    lessons,
)
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.generation.sampling import GREEDY
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import decode, encode_prompt

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


def test_a_build_makes_what_is_shipped_but_for_its_length_and_the_same_bytes_again(
    tmp_path: Path,
) -> None:
    said: list[tuple[str, int, int]] = []
    plans = [replace(plan, num_steps=1) for plan in FAMILY_PLANS]
    again = replace(plans[1], name="again")
    build_causal_families(tmp_path, lambda *words: said.append(words), [*plans, again])
    once, twice = (sorted((tmp_path / "models" / one.name).iterdir()) for one in (plans[1], again))
    assert [file.name for file in once] == [file.name for file in twice]
    for one, other in zip(once, twice, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert said[-1] == ("training the embedded models", 4, 4)
    for plan in plans:
        made, shipped = (root / "models" / plan.name for root in (tmp_path, DATA))
        for name in SAME_FOR_ANY_LENGTH:
            assert (made / name).read_bytes() == (shipped / name).read_bytes()


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


@pytest.mark.parametrize("plan", FAMILY_PLANS, ids=lambda plan: plan.name)
def test_each_answers_in_the_form_of_the_task_and_leaves_much_to_learn(plan: FamilyPlan) -> None:
    policy = load_policy(plan.name, mixed_precision=False)
    examples = distinct_causal(77, "validation", 48, LEVELS["easy"])
    prompts = [encode_prompt(policy, [{"role": "user", "content": one.prompt}]) for one in examples]
    request = GenerationRequest(
        prompts=prompts,
        seeds=range(len(prompts)),
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=96,
        sampling=GREEDY,
        max_rows=48,
    )
    texts = [decode(policy, one.completion_ids) for one in generate(policy.model, request)]
    thoughts = [text if "<think>" in text else f"<think>{text}" for text in texts]
    labels = [parse_label(text, ("yes", "no"), "Final Answer:") for text in thoughts]
    right = [label == one.answer for label, one in zip(labels, examples, strict=True)]
    assert sum(label is not None for label in labels) >= 0.9 * len(labels)
    assert 0.3 <= sum(right) / len(right) <= 0.8
    # Of the 48 only a few speak of common effects at all: that is the habit.
    assert sum("common effect" in text for text in texts) <= 12
