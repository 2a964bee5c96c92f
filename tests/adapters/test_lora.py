from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.models import qwen2, qwen3_moe

from OnPolicyDistill.adapters.lora import (
    adapter_disabled,
    adapter_layers,
    adapter_parameters,
    attach_adapter,
    detach_adapter,
)
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.settings.training import LoraSettings

TARGETS = ("q_proj", "v_proj", "down_proj")
TOKENS = mx.array([[1, 2, 3, 4, 5]])


@pytest.fixture
def model(tied_folder: Path) -> nn.Module:
    return load_policy(str(tied_folder)).model


@pytest.fixture
def mixture() -> nn.Module:
    arguments = qwen3_moe.ModelArgs(
        model_type="qwen3_moe",
        hidden_size=64,
        num_hidden_layers=2,
        intermediate_size=64,
        num_attention_heads=2,
        num_experts=4,
        num_experts_per_tok=2,
        decoder_sparse_step=1,
        mlp_only_layers=[0],
        moe_intermediate_size=64,
        rms_norm_eps=1e-6,
        vocab_size=64,
        num_key_value_heads=1,
        head_dim=32,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        max_position_embeddings=64,
        norm_topk_prob=True,
    )
    return qwen3_moe.Model(arguments)


def disturb(model: nn.Module) -> None:
    """Make B nonzero, as after a step of learning."""
    for layer in adapter_layers(model).values():
        layer.lora_b = layer.lora_b + 0.05


def test_a_fresh_adapter_leaves_the_logits_as_they_were(model: nn.Module) -> None:
    before = model(TOKENS)
    attach_adapter(model, LoraSettings(rank=4), TARGETS, seed=0)
    assert mx.array_equal(model(TOKENS), before)


def test_only_the_adapter_can_learn_and_everything_is_counted(model: nn.Module) -> None:
    adapter = attach_adapter(model, LoraSettings(rank=4), TARGETS, seed=0)
    trainable = flat_arrays(model.trainable_parameters())
    assert trainable.keys() == adapter_parameters(model).keys()
    assert adapter.num_modules == 6
    assert adapter.num_parameters == 2 * 4 * ((64 + 64) + (64 + 32) + (128 + 64))
    assert adapter.keys == ("mlp.down_proj", "self_attn.q_proj", "self_attn.v_proj")


def test_the_scale_is_alpha_divided_by_rank(model: nn.Module) -> None:
    adapter = attach_adapter(model, LoraSettings(rank=8, alpha=24), TARGETS, seed=0)
    assert adapter.scale == 3.0
    assert {layer.scale for layer in adapter_layers(model).values()} == {3.0}


def test_the_first_matrix_depends_on_the_seed_and_not_on_global_randomness(
    tied_folder: Path,
) -> None:
    drawn = []
    for seed, disturbance in ((7, 1), (7, 2), (8, 1)):
        mx.random.seed(disturbance)
        model = load_policy(str(tied_folder)).model
        attach_adapter(model, LoraSettings(rank=4), TARGETS, seed=seed)
        drawn.append(adapter_parameters(model))
    same, other = drawn[0], drawn[2]
    assert all(mx.array_equal(same[name], drawn[1][name]) for name in same)
    assert not any(mx.array_equal(same[name], other[name]) for name in same if name[-1] == "a")
    names = [name for name in same if name.endswith("q_proj.lora_a")]
    assert not mx.array_equal(same[names[0]], same[names[1]])
    assert 0.9 / 8 < float(mx.abs(same[names[0]]).max()) <= 1 / 8


def test_settings_name_the_targets_before_the_family_does(model: nn.Module) -> None:
    settings = LoraSettings(rank=2, targets=("self_attn.o_proj",))
    assert attach_adapter(model, settings, TARGETS, seed=0).keys == ("self_attn.o_proj",)


def test_the_last_layers_alone_can_be_adapted(model: nn.Module) -> None:
    adapter = attach_adapter(model, LoraSettings(rank=2, layers=1), TARGETS, seed=0)
    assert adapter.num_modules == 3
    assert all(name.startswith("model.layers.1.") for name in adapter_layers(model))


def test_a_target_that_matches_nothing_names_what_there_is(model: nn.Module) -> None:
    with pytest.raises(ModelError, match=r"'qkv_proj' matches no linear layer.*q_proj, up_proj"):
        attach_adapter(model, LoraSettings(), ("q_proj", "qkv_proj"), seed=0)
    assert adapter_layers(model) == {}


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens", "proj", "input_layernorm"])
def test_heads_embeddings_and_parts_of_names_are_no_targets(model: nn.Module, target: str) -> None:
    with pytest.raises(ModelError, match="matches no linear layer"):
        attach_adapter(model, LoraSettings(), (target,), seed=0)


def test_a_second_adapter_is_refused(model: nn.Module) -> None:
    attach_adapter(model, LoraSettings(), TARGETS, seed=0)
    with pytest.raises(ModelError, match="already has an adapter"):
        attach_adapter(model, LoraSettings(), ("o_proj",), seed=0)


def test_a_disabled_adapter_gives_the_base_models_logits_and_comes_back(model: nn.Module) -> None:
    before = model(TOKENS)
    attach_adapter(model, LoraSettings(rank=4), TARGETS, seed=0)
    disturb(model)
    adapted = model(TOKENS)
    with adapter_disabled(model):
        assert mx.array_equal(model(TOKENS), before)
    assert mx.array_equal(model(TOKENS), adapted)
    assert not mx.array_equal(adapted, before)


def test_the_adapter_comes_back_after_an_error(model: nn.Module) -> None:
    attach_adapter(model, LoraSettings(rank=4), TARGETS, seed=0)
    with pytest.raises(KeyError), adapter_disabled(model):
        raise KeyError
    assert {layer.scale for layer in adapter_layers(model).values()} == {8.0}


def test_a_detached_adapter_leaves_the_base_model(model: nn.Module) -> None:
    before = model(TOKENS)
    attach_adapter(model, LoraSettings(rank=4), TARGETS, seed=0)
    disturb(model)
    detach_adapter(model)
    assert adapter_layers(model) == {}
    assert mx.array_equal(model(TOKENS), before)


def test_dropout_is_off_in_evaluation_mode(model: nn.Module) -> None:
    attach_adapter(model, LoraSettings(rank=4, dropout=0.5), TARGETS, seed=0)
    disturb(model)
    model.eval()
    assert mx.array_equal(model(TOKENS), model(TOKENS))
    model.train()
    assert not mx.array_equal(model(TOKENS), model(TOKENS))


def test_the_matrices_are_float32_on_a_bfloat16_base(model: nn.Module) -> None:
    model.set_dtype(mx.bfloat16)
    attach_adapter(model, LoraSettings(rank=4), TARGETS, seed=0)
    disturb(model)
    assert {array.dtype for array in adapter_parameters(model).values()} == {mx.float32}
    assert model(TOKENS).dtype == mx.bfloat16


def test_quantized_layers_take_an_adapter_and_learn(model: nn.Module) -> None:
    nn.quantize(model, group_size=32, bits=4)
    before = model(TOKENS)
    attach_adapter(model, LoraSettings(rank=4), TARGETS, seed=0)
    assert mx.array_equal(model(TOKENS), before)
    gradient = nn.value_and_grad(model, lambda tokens: model(tokens).square().mean())(TOKENS)[1]
    moved = [name for name, g in flat_arrays(gradient).items() if float(mx.abs(g).max()) > 0]
    assert len(moved) == 6


@pytest.mark.parametrize("bits", [None, 8])
def test_experts_of_a_mixture_take_an_adapter_and_learn(
    mixture: nn.Module, bits: int | None
) -> None:
    if bits is not None:
        nn.quantize(mixture, group_size=32, bits=bits)
    before = mixture(TOKENS)
    settings = LoraSettings(rank=2, experts=True)
    adapter = attach_adapter(mixture, settings, ("q_proj", "down_proj"), seed=0)
    assert adapter.keys == ("mlp.down_proj", "mlp.switch_mlp.down_proj", "self_attn.q_proj")
    assert adapter.num_modules == 4
    assert mx.allclose(mixture(TOKENS), before, atol=1e-6)
    loss = nn.value_and_grad(mixture, lambda tokens: mixture(tokens).square().mean())
    moved = flat_arrays(loss(TOKENS)[1])
    assert float(mx.abs(moved["model.layers.1.mlp.switch_mlp.down_proj.lora_b"]).max()) > 0


def test_experts_stay_frozen_unless_they_are_asked_for(mixture: nn.Module) -> None:
    adapter = attach_adapter(mixture, LoraSettings(rank=2), ("q_proj", "down_proj"), seed=0)
    assert adapter.keys == ("mlp.down_proj", "self_attn.q_proj")
    assert [name for name in adapter_layers(mixture) if "mlp" in name] == [
        "model.layers.0.mlp.down_proj"
    ]


@pytest.mark.parametrize("target", ["gate", "mlp.gate"])
def test_a_router_takes_no_adapter_even_when_it_is_named(mixture: nn.Module, target: str) -> None:
    settings = LoraSettings(targets=("q_proj", target), experts=True)
    with pytest.raises(ModelError, match=rf"'{target}' is a router.*never adapted"):
        attach_adapter(mixture, settings, None, seed=0)
    assert adapter_layers(mixture) == {}


def test_experts_on_a_bfloat16_base_compute(mixture: nn.Module) -> None:
    mixture.set_dtype(mx.bfloat16)
    attach_adapter(mixture, LoraSettings(rank=2, experts=True), ("down_proj",), seed=0)
    disturb(mixture)
    assert mixture(TOKENS).dtype == mx.bfloat16


def test_ten_layers_are_numbered_as_numbers() -> None:
    arguments = qwen2.ModelArgs("qwen2", 16, 11, 16, 2, 1e-6, 64, 1)
    model = qwen2.Model(arguments)
    attach_adapter(model, LoraSettings(rank=1), ("q_proj",), seed=0)
    numbers = [int(name.split(".")[2]) for name in adapter_layers(model)]
    assert numbers == list(range(11))
