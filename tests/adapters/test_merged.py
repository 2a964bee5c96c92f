import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.adapters.merged import MergedLinear, merged_for_decoding
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.planning.models import family_targets
from OnPolicyDistill.settings.training import LoraSettings

on_a_cpu = pytest.mark.skipif(
    mx.default_device().type != mx.DeviceType.cpu, reason="nothing is merged on a GPU"
)


def adapted(dtype: mx.Dtype = mx.float32) -> Policy:
    policy = load_policy("tiny-student", mixed_precision=False)
    attach_adapter(policy.model, LoraSettings(rank=8, alpha=16), family_targets(policy.path), 3)
    mx.random.seed(1)
    for layer in adapter_layers(policy.model).values():
        layer.lora_b = 0.05 * mx.random.normal(layer.lora_b.shape)
    policy.model.set_dtype(dtype)
    policy.model.eval()
    return policy


def merged_layers(policy: Policy) -> int:
    return sum(isinstance(module, MergedLinear) for _, module in policy.model.named_modules())


@on_a_cpu
def test_merged_layers_draw_the_same_tokens_with_the_same_logprobs() -> None:
    policy = adapted()
    prompts = [[5, 9, 40], [7, 8, 9, 10], [300]]
    request = GenerationRequest(prompts, [1, 2, 3], frozenset(), policy.vocab_size, 12)
    plain = generate(policy.model, request)
    with merged_for_decoding(policy.model):
        assert merged_layers(policy) == 21
        merged = generate(policy.model, request)
    assert [row.completion_ids for row in merged] == [row.completion_ids for row in plain]
    for ours, theirs in zip(merged, plain, strict=True):
        # Sums of some hundred float32 numbers in another order, over three layers.
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=2e-5)


@on_a_cpu
def test_the_model_is_as_it_was_afterwards_also_where_decoding_fails() -> None:
    policy = adapted()
    layers = adapter_layers(policy.model)
    before = dict(tree_flatten(policy.model.parameters()))
    with pytest.raises(RuntimeError, match="stopped"), merged_for_decoding(policy.model):
        raise RuntimeError("stopped")
    after = adapter_layers(policy.model)
    assert all(after[name] is layer for name, layer in layers.items())
    found = dict(tree_flatten(policy.model.parameters()))
    assert found.keys() == before.keys()
    assert all(mx.array_equal(found[name], before[name]) for name in before)


def test_sixteen_bit_weights_are_not_merged_as_they_would_be_rounded() -> None:
    policy = adapted(mx.bfloat16)
    with merged_for_decoding(policy.model):
        assert merged_layers(policy) == 0
