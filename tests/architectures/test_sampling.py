"""Every architecture samples as mlx-lm does, whatever its layers keep and whoever is beside a row.

Windows are 8 tokens, so rows of 5 to 21 leave them, and buffers grow by 4 columns, so windows drop
old ones many times.
"""

import random
from functools import cache

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.generate import generate_step

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.generation import loop
from OnPolicyDistill.generation.prefill import read_prefix
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.generation.sampling import GREEDY, THE_POLICY, SamplingSettings
from OnPolicyDistill.models import row_layout
from OnPolicyDistill.models.kv_cache import ONE_BY_ONE, reads_rows_together
from OnPolicyDistill.rollout import Rollout
from tests.architectures.tiny import ALL, VOCAB_SIZE, tiny_model

# The others are behind the marker `slow`.
OFTEN = frozenset(
    """qwen2 qwen3 qwen3_moe qwen3_next qwen3_5 qwen3_5_moe llama mistral ministral3 gemma gemma2
    gemma3_text gemma4_text gpt_oss olmo2 olmo3 cohere2 granite granitemoehybrid lfm2 lfm2_moe
    falcon_h1 nemotron_h mamba2 glm4 glm4_moe phi3 phimoe smollm3 mixtral deepseek_v3 exaone4
    hunyuan_v1_dense ernie4_5 gpt_bigcode""".split()  # noqa: SIM905  # a list of 35 lines
)
each_architecture = pytest.mark.parametrize(
    "architecture",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in ALL],
)
MAX_TOKENS = 12
# float32, and sums in another order: logprobs differ by this share of their size in nats.
ROUNDING = 1e-5
# Without a cache mlx-lm's gemma3n computes keys for the layers that share another's, which it does
# not do behind one: its two forward passes are two models.
TWO_MODELS = frozenset({"gemma3n"})
# mlx-lm decodes with a window one token narrower than it reads with: whole rows are the reference.
READ_WHOLE = frozenset({"plamo3"})


def words(number: int, length: int) -> list[int]:
    numbers = random.Random(number)
    return [numbers.randrange(VOCAB_SIZE) for _ in range(length)]


RAGGED = [words(length, length) for length in (5, 1, 13, 21, 3)]
SHARED = [words(0, 35) + tail for tail in ([3], words(1, 9), [3])]


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_layout, "GROWTH_COLUMNS", 4)


@cache
def model_of(architecture: str) -> nn.Module:
    return tiny_model(architecture)


@cache
def reference(architecture: str, prompt: tuple[int, ...]) -> list[int]:
    """What the loop of mlx_lm.generate says, the prompt alone and every token."""
    if architecture in READ_WHOLE:
        ids = list(prompt)
        for _ in range(MAX_TOKENS):
            ids.append(int(mx.argmax(model_of(architecture)(mx.array([ids]))[0, -1]).item()))
        return ids[len(prompt) :]
    steps = generate_step(mx.array(prompt), model_of(architecture), max_tokens=MAX_TOKENS)
    return [token for token, _ in steps]


def references(architecture: str, prompts: list[list[int]]) -> list[list[int]]:
    return [reference(architecture, tuple(prompt)) for prompt in prompts]


def asked(
    prompts: list[list[int]],
    sampling: SamplingSettings = GREEDY,
    stop_ids: frozenset[int] = frozenset(),
) -> GenerationRequest:
    seeds = list(range(len(prompts)))
    return GenerationRequest(prompts, seeds, stop_ids, VOCAB_SIZE, MAX_TOKENS, sampling, max_rows=3)


def generate(architecture: str, request: GenerationRequest) -> list[Rollout]:
    return loop.generate(model_of(architecture), request)


def completions(rollouts: list[Rollout]) -> list[list[int]]:
    return [list(rollout.completion_ids) for rollout in rollouts]


def until(ids: list[int], stop_ids: frozenset[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in stop_ids), len(ids) - 1)
    return ids[: end + 1]


@each_architecture
def test_a_row_alone_is_greedily_what_mlx_lm_says(architecture: str) -> None:
    prompt = RAGGED[2]
    rollouts = generate(architecture, asked([prompt]))
    assert completions(rollouts) == [reference(architecture, tuple(prompt))]


@each_architecture
def test_rows_that_leave_and_join_are_what_they_would_be_alone(architecture: str) -> None:
    alone = references(architecture, RAGGED)
    stop_ids = frozenset({alone[0][3], alone[2][5]})
    rollouts = generate(architecture, asked(RAGGED, stop_ids=stop_ids))
    assert completions(rollouts) == [until(ids, stop_ids) for ids in alone]


@each_architecture
def test_rows_behind_one_prefix_are_what_they_would_be_alone(architecture: str) -> None:
    assert len(read_prefix(model_of(architecture), SHARED).ids) == 35
    rollouts = generate(architecture, asked(SHARED))
    assert completions(rollouts) == references(architecture, SHARED)


@each_architecture
def test_sampled_logprobs_are_those_of_one_forward_pass(architecture: str) -> None:
    if architecture in TWO_MODELS:
        pytest.skip("mlx-lm computes something else without a cache")
    for rollout in generate(architecture, asked(RAGGED[:4], THE_POLICY)):
        ids = mx.array([rollout.token_ids])
        logits = model_of(architecture)(ids)[0, len(rollout.prompt_ids) - 1 : -1, :VOCAB_SIZE]
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        chosen = mx.take_along_axis(logprobs, mx.array(rollout.completion_ids)[:, None], axis=-1)
        distance = mx.abs(chosen[:, 0] - mx.array(rollout.logprobs))
        worst = as_float((distance / mx.maximum(1, mx.abs(chosen[:, 0]))).max())
        assert worst < ROUNDING


def test_only_architectures_with_a_reason_are_read_row_by_row() -> None:
    # Their caches are of kinds that only they have.
    separate = {name for name in ALL if not reads_rows_together(model_of(name))}
    assert separate == {*ONE_BY_ONE, "deepseek_v41", "llama4"}


@pytest.mark.parametrize("architecture", ["gpt_bigcode", "afm7"])
def test_a_reason_to_read_row_by_row_is_one(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(ONE_BY_ONE, architecture)
    try:
        together = completions(generate(architecture, asked(RAGGED)))
    except (RuntimeError, TypeError, ValueError):
        return
    assert together != references(architecture, RAGGED)
