"""Healthy kernels that round otherwise pass, real faults do not, also of few tokens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.models import qwen2

from OnPolicyDistill.evaluation.rescoring import rescore, rescoring_checks
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.embedded import initialize
from OnPolicyDistill.models.layout import output_head
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.models.row_layout import RowLayout
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.runs.events import Check
from tests.other_kernels import bf16_decode, tf32

VOCAB_SIZE = 300
STOP_ID = VOCAB_SIZE - 1
POLICY = SamplingSettings()
MANY, FEW = 24, 4
KERNELS: dict[mx.Dtype, Callable[[], AbstractContextManager[None]]] = {
    mx.float32: tf32,
    mx.bfloat16: bf16_decode,
}
both_types = pytest.mark.parametrize("dtype", list(KERNELS), ids=str)
many_and_few = pytest.mark.parametrize("max_tokens", [MANY, FEW])


@cache
def build(num_layers: int, dtype: mx.Dtype, bits: int | None = None) -> nn.Module:
    """A random Qwen2 whose logits reach 14, with 1.8 nats of entropy."""
    shape = {
        "model_type": "qwen2",
        "hidden_size": 64,
        "num_hidden_layers": num_layers,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "vocab_size": 320,
        "tie_word_embeddings": False,
    }
    model = qwen2.Model(qwen2.ModelArgs.from_dict(shape))
    initialize(model, 0)
    model.model.embed_tokens.weight = model.model.embed_tokens.weight * 50
    model.lm_head.weight = model.lm_head.weight * 4
    model.set_dtype(dtype)
    if bits is not None:
        nn.quantize(model, 32, bits)
    model.eval()
    mx.eval(model.parameters())
    return model


def sample(model: nn.Module, max_tokens: int, sampling: SamplingSettings = POLICY) -> list[Rollout]:
    """Four completions of prompts of unequal length, so that rows are padded while decoding."""
    prompts = [
        [(7 * row + 13 * place) % STOP_ID for place in range(3 + 4 * row)] for row in range(4)
    ]
    request = GenerationRequest(
        prompts=prompts,
        seeds=[10, 11, 12, 13],
        stop_ids=frozenset({STOP_ID}),
        vocab_size=VOCAB_SIZE,
        max_tokens=max_tokens,
        sampling=sampling,
    )
    return generate(model, request)


def judge(
    model: nn.Module, rollouts: list[Rollout], shift: int = 0, head_shift: int = 0
) -> dict[str, Check]:
    """Re-score rollouts; `shift` reads other positions, `head_shift` other rows of the head."""
    batch = pack(rollouts)
    hidden = hidden_states(model, batch.tokens)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions + shift, axis=0)
    head = output_head(model, VOCAB_SIZE)
    head = replace(head, weight=mx.roll(head.weight, head_shift, axis=0))
    checks = rescoring_checks(rollouts, rescore(hidden, head, batch.labels), frozenset({STOP_ID}))
    return {check.name: check for check in checks}


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if not check.passed}


@cache
def healthy(dtype: mx.Dtype, max_tokens: int) -> list[Rollout]:
    with KERNELS[dtype]():
        return sample(build(2, dtype), max_tokens)


@pytest.mark.parametrize(
    ("dtype", "bits", "kernels"),
    [
        (mx.float32, None, nullcontext),
        (mx.float32, None, tf32),
        (mx.bfloat16, None, bf16_decode),
        (mx.bfloat16, 4, bf16_decode),
    ],
    ids=["float32", "tf32", "bfloat16", "4bit"],
)
def test_a_healthy_model_of_24_layers_passes_whatever_its_kernels_round(
    dtype: mx.Dtype,
    bits: int | None,
    kernels: Callable[[], AbstractContextManager[None]],
) -> None:
    model = build(24, dtype, bits)
    with kernels():
        checks = judge(model, sample(model, MANY))
    assert failed(checks) == set()
    match = checks["logprobs_match"]
    assert match.measured is not None
    assert match.measured <= match.figures["p99"] <= match.figures["max"]
    if kernels is not nullcontext:
        # The emulation bites: a bound on the largest difference of 0.001 or 0.1 had refused it.
        assert match.figures["max"] > (0.001 if dtype == mx.float32 else 0.1)


@both_types
def test_a_healthy_model_passes_with_few_tokens(dtype: mx.Dtype) -> None:
    with KERNELS[dtype]():
        for max_tokens in (1, 2, FEW):
            assert failed(judge(build(2, dtype), sample(build(2, dtype), max_tokens))) == set()


@both_types
@many_and_few
@pytest.mark.parametrize("temperature", [0.8, 1.25])
def test_another_temperature_fails(dtype: mx.Dtype, max_tokens: int, temperature: float) -> None:
    with KERNELS[dtype]():
        rollouts = sample(build(2, dtype), max_tokens, SamplingSettings(temperature=temperature))
        checks = judge(build(2, dtype), rollouts)
    assert "temperature_matches" in failed(checks)


@both_types
def test_sampling_from_the_likely_tokens_only_fails(dtype: mx.Dtype) -> None:
    with KERNELS[dtype]():
        rollouts = sample(build(2, dtype), MANY, SamplingSettings(top_p=0.9))
        checks = judge(build(2, dtype), rollouts)
    assert "logprobs_unbiased" in failed(checks)


@both_types
@many_and_few
@pytest.mark.parametrize("shift", [-1, 1])
def test_a_position_off_by_one_fails(dtype: mx.Dtype, max_tokens: int, shift: int) -> None:
    with KERNELS[dtype]():
        checks = judge(build(2, dtype), healthy(dtype, max_tokens), shift=shift)
    assert {"logprobs_match", "logprobs_near"} <= failed(checks)


@both_types
@many_and_few
def test_logprobs_noted_for_the_token_before_fail(dtype: mx.Dtype, max_tokens: int) -> None:
    late = [
        replace(rollout, logprobs=rollout.logprobs[-1:] + rollout.logprobs[:-1])
        for rollout in healthy(dtype, max_tokens)
    ]
    with KERNELS[dtype]():
        assert "logprobs_match" in failed(judge(build(2, dtype), late))


@both_types
@many_and_few
def test_one_wrong_logprob_among_many_fails(dtype: mx.Dtype, max_tokens: int) -> None:
    first, *others = healthy(dtype, max_tokens)
    wrong = replace(first, logprobs=(first.logprobs[0] - 3.0, *first.logprobs[1:]))
    with KERNELS[dtype]():
        assert "logprobs_near" in failed(judge(build(2, dtype), [wrong, *others]))


@both_types
@many_and_few
def test_a_row_of_the_head_off_by_one_fails(dtype: mx.Dtype, max_tokens: int) -> None:
    with KERNELS[dtype]():
        checks = judge(build(2, dtype), healthy(dtype, max_tokens), head_shift=1)
    assert "logprobs_match" in failed(checks)


@both_types
@many_and_few
def test_rows_that_attend_to_padding_fail(
    dtype: mx.Dtype, max_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowLayout, "mask", lambda *_: None)
    with KERNELS[dtype]():
        checks = judge(build(2, dtype), sample(build(2, dtype), max_tokens))
    assert "logprobs_match" in failed(checks)


@both_types
@many_and_few
def test_positions_that_count_padding_fail(
    dtype: mx.Dtype, max_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowLayout, "offset", lambda _, length: length)
    with KERNELS[dtype]():
        checks = judge(build(2, dtype), sample(build(2, dtype), max_tokens))
    assert "logprobs_match" in failed(checks)


@both_types
@many_and_few
def test_an_adapter_that_only_the_sampler_saw_fails(dtype: mx.Dtype, max_tokens: int) -> None:
    model = build(2, dtype)
    projection = model.model.layers[0].mlp.down_proj
    before = projection.weight
    left = mx.random.normal((64, 2), key=mx.random.key(1))
    right = mx.random.normal((2, 128), key=mx.random.key(2))
    with KERNELS[dtype]():
        projection.weight = before + (0.05 * left @ right).astype(dtype)
        rollouts = sample(model, max_tokens)
        projection.weight = before
        assert "logprobs_match" in failed(judge(model, rollouts))


def ended(max_tokens: int) -> Rollout:
    """A completion that ends by itself, of a model whose end token is likely."""
    model = build(2, mx.float32)
    rollout = sample(model, max_tokens)[0]
    ids = (*rollout.completion_ids[:-1], STOP_ID)
    return replace(rollout, completion_ids=ids, finish_reason="stop")


@many_and_few
@pytest.mark.parametrize(
    "broken",
    [
        lambda whole: replace(
            whole, completion_ids=whole.completion_ids[:-1], logprobs=whole.logprobs[:-1]
        ),
        lambda whole: replace(whole, completion_ids=whole.completion_ids[:-1]),
        lambda whole: replace(whole, logprobs=whole.logprobs[:-1]),
        lambda whole: replace(whole, finish_reason="length"),
        lambda whole: replace(whole, completion_ids=(STOP_ID, *whole.completion_ids[1:])),
    ],
    ids=["id and logprob", "id", "logprob", "reason", "early"],
)
def test_a_dropped_end_token_fails(max_tokens: int, broken: Callable[[Rollout], Rollout]) -> None:
    whole = ended(max_tokens)
    model = build(2, mx.float32)
    assert judge(model, [whole])["completions_whole"].passed
    checks = judge(model, [broken(whole)])
    assert checks["completions_whole"].measured == 1
    assert "completions_whole" in failed(checks)


def test_what_is_not_a_number_fails_every_check_and_can_be_written() -> None:
    rollouts = healthy(mx.float32, FEW)
    broken = [replace(r, logprobs=(float("nan"), *r.logprobs[1:])) for r in rollouts]
    checks = judge(build(2, mx.float32), broken)
    assert failed(checks) == set(checks) - {"completions_whole"}
    assert checks["logprobs_near"].measured is None
    again = [Check.model_validate_json(check.model_dump_json()) for check in checks.values()]
    assert again == list(checks.values())
