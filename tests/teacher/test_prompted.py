"""The same completion ids behind two prompts of different length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.targets import HiddenTargets
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, hidden_states, vocabulary_head
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.settings.training import LoraSettings
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.prompted import PromptedTeacher
from OnPolicyDistill.teacher.scorer import EXACT
from OnPolicyDistill.teacher.scoring import Teacher

SHORT, LONG = (5, 6, 7), (*range(10, 60), 5, 6, 7)
OTHER_SHORT, OTHER_LONG = (8, 9), (*range(10, 60), 8, 9)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    write_tokenizer(tmp_path, ["some words to learn"] * 2, 280)
    write_random_model(tmp_path, TinyShape(32, 2, 2, 1, 64, 288, True), 0)
    return load_policy(str(tmp_path))


def rollouts() -> list[Rollout]:
    return [
        Rollout(0, SHORT, (70, 71, 72, 1), (0.0,) * 4, "stop"),
        Rollout(1, OTHER_SHORT, (80, 81), (0.0,) * 2, "length"),
    ]


def teacher_of(policy: Policy) -> PromptedTeacher:
    views = {SHORT: LONG, OTHER_SHORT: OTHER_LONG}
    return PromptedTeacher(Teacher(policy, TeacherCache(10_000_000), EXACT), views)


def logprobs_of(policy: Policy, hidden: mx.array, ids: mx.array) -> np.ndarray:
    logits = np.array(vocabulary_head(policy).logits(hidden)).astype(np.float64)
    scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return scores[np.arange(len(scores)), np.array(ids)]


def test_completions_behind_the_long_prompt_score_as_a_plain_pass_over_the_whole_text(
    policy: Policy,
) -> None:
    targets = teacher_of(policy).score(rollouts())
    assert isinstance(targets, HiddenTargets)
    found = logprobs_of(policy, targets.hidden, pack(rollouts()).labels)
    expected = []
    for prompt, rollout in zip((LONG, OTHER_LONG), rollouts(), strict=True):
        text = [*prompt, *rollout.completion_ids]
        logits = np.array(policy.model(mx.array([text])))[0, :, : policy.vocab_size]
        for place in range(len(prompt), len(text)):
            scores = logits[place - 1].astype(np.float64)
            expected.append(scores[text[place]] - np.log(np.exp(scores).sum()))
    assert found == pytest.approx(np.array(expected), abs=1e-4)


def test_the_prompt_changes_what_the_teacher_says(policy: Policy) -> None:
    batch = pack(rollouts())
    hidden = hidden_states(policy.model, batch.tokens)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)
    targets = teacher_of(policy).score(rollouts())
    head = vocabulary_head(policy)
    apart = compare_distributions(hidden, head, targets, batch.labels).reverse_kl
    assert float(mx.abs(apart).max()) > 1e-6


def test_an_equal_teacher_behind_an_equal_prompt_is_not_apart_at_all(policy: Policy) -> None:
    views = {SHORT: SHORT, OTHER_SHORT: OTHER_SHORT}
    teacher = PromptedTeacher(Teacher(policy, TeacherCache(10_000_000), EXACT), views)
    batch = pack(rollouts())
    hidden = hidden_states(policy.model, batch.tokens)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)
    head = vocabulary_head(policy)
    apart = compare_distributions(hidden, head, teacher.score(rollouts()), batch.labels).reverse_kl
    assert float(mx.abs(apart).max()) < 1e-6


def test_with_its_adapter_off_a_model_teaches_exactly_as_its_base_model(policy: Policy) -> None:
    plain = teacher_of(policy).score(rollouts())
    lora = LoraSettings(rank=4, alpha=8, targets=("q_proj", "v_proj", "down_proj"))
    attach_adapter(policy.model, lora, (), 0)
    for layer in adapter_layers(policy.model).values():
        layer.lora_b = mx.random.normal(layer.lora_b.shape)
    before = [mx.array(layer.lora_b) for layer in adapter_layers(policy.model).values()]
    adapted = teacher_of(replace(policy, fingerprint="adapted")).score(rollouts())
    assert isinstance(plain, HiddenTargets)
    assert isinstance(adapted, HiddenTargets)
    assert mx.array_equal(plain.hidden, adapted.hidden)
    layers = adapter_layers(policy.model).values()
    assert all(mx.array_equal(a, b.lora_b) for a, b in zip(before, layers, strict=True))
    assert all(layer.scale == 2.0 for layer in layers)
