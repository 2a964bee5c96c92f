from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers
from OnPolicyDistill.adapters.dropout import SeededDropout, dropouts, seed_dropout
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.settings.training import LoraSettings

ONES = mx.ones((40, 250))
TOKENS = mx.arange(192).reshape(2, 96)
LAYER = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def model(tied_folder: Path) -> nn.Module:
    model = load_policy(str(tied_folder)).model
    attach_adapter(model, LoraSettings(rank=4, dropout=0.3), ("q_proj", "down_proj"), seed=0)
    for layer in adapter_layers(model).values():
        layer.lora_b = layer.lora_b + 0.05
    model.train()
    return model


def masks(model: nn.Module) -> list[mx.array]:
    """What each dropout of the model does to ones, by module."""
    return [dropout(ONES) for dropout in dropouts(model)]


def gradients(model: nn.Module, seed: int) -> dict[str, mx.array]:
    seed_dropout(model, seed)
    loss = nn.value_and_grad(model, lambda tokens: model(tokens).square().mean())
    found = flat_arrays(loss(TOKENS)[1])
    mx.eval(found)
    return found


def slope_along(model: nn.Module, direction: mx.array, seed: int) -> float:
    """Central difference of the loss along a direction of one lora_b, under the same masks."""
    layer = adapter_layers(model)[LAYER]
    middle, step = layer.lora_b, 1e-2
    losses = []
    for sign in (1, -1):
        seed_dropout(model, seed)
        layer.lora_b = middle + sign * step * direction
        losses.append(float(model(TOKENS).square().mean()))
    layer.lora_b = middle
    return (losses[0] - losses[1]) / (2 * step)


def test_the_asked_share_is_dropped_and_the_rest_scaled_up() -> None:
    dropout = SeededDropout(0.3)
    dropped = dropout(ONES)
    share = float((dropped == 0).astype(mx.float32).mean())
    # 10,000 elements: a standard deviation is 0.0046.
    assert abs(share - 0.3) < 0.02
    assert mx.array_equal((dropped != 0) * dropped.max(), dropped)
    assert float(dropped.max()) == pytest.approx(1 / 0.7)


def test_masks_differ_between_modules_steps_and_micro_batches(model: nn.Module) -> None:
    seed_dropout(model, 1)
    first, second = masks(model), masks(model)
    seed_dropout(model, 2)
    other_step = masks(model)
    drawn = [mask for group in (first, second, other_step) for mask in group]
    assert len(drawn) == 12
    agreeing = [
        float((left == right).astype(mx.float32).mean())
        for place, left in enumerate(drawn)
        for right in drawn[:place]
    ]
    # Unrelated masks agree on 0.7 squared plus 0.3 squared of their elements.
    assert max(abs(share - 0.58) for share in agreeing) < 0.03


def test_a_seed_brings_the_same_masks_back(model: nn.Module) -> None:
    seed_dropout(model, 7)
    first = masks(model)
    mx.random.seed(99)
    seed_dropout(model, 7)
    assert all(mx.array_equal(one, other) for one, other in zip(first, masks(model), strict=True))


def test_masks_need_nothing_of_the_global_stream(model: nn.Module) -> None:
    mx.random.seed(5)
    expected = mx.random.uniform(shape=(4,))
    mx.random.seed(5)
    masks(model)
    assert mx.array_equal(mx.random.uniform(shape=(4,)), expected)


def test_half_precision_stays_what_it_is() -> None:
    assert SeededDropout(0.5)(ONES.astype(mx.bfloat16)).dtype == mx.bfloat16


def test_nothing_is_dropped_at_rate_zero_or_in_evaluation() -> None:
    assert mx.array_equal(SeededDropout(0.0)(ONES), ONES)
    dropout = SeededDropout(0.5)
    dropout.eval()
    assert mx.array_equal(dropout(ONES), ONES)


def test_dropping_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="dropout"):
        SeededDropout(1.0)


def test_recomputed_gradients_are_the_plain_ones_under_dropout(model: nn.Module) -> None:
    plain = gradients(model, seed=3)
    checkpoint_layers(model)
    recomputed = gradients(model, seed=3)
    largest = max(float(mx.abs(array).max()) for array in plain.values())
    for name, array in plain.items():
        assert float(mx.abs(array - recomputed[name]).max()) <= 1e-6 * largest
    other = gradients(model, seed=4)
    assert any(not mx.allclose(plain[name], other[name], rtol=0.05) for name in plain)


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_under_dropout_are_finite_differences_of_the_loss(
    model: nn.Module, recompute: bool
) -> None:
    if recompute:
        checkpoint_layers(model)
    gradient = gradients(model, seed=3)[f"{LAYER}.lora_b"]
    direction = gradient / mx.linalg.norm(gradient)
    expected = float(mx.linalg.norm(gradient))
    assert abs(slope_along(model, direction, seed=3) / expected - 1) < 5e-3


def test_a_second_pass_draws_other_masks_also_where_layers_are_recomputed(
    model: nn.Module,
) -> None:
    checkpoint_layers(model)
    seed_dropout(model, 3)
    loss = nn.value_and_grad(model, lambda tokens: model(tokens).square().mean())
    first, second = (flat_arrays(loss(TOKENS)[1]) for _ in range(2))
    assert not mx.allclose(first[f"{LAYER}.lora_b"], second[f"{LAYER}.lora_b"], rtol=0.01)
    assert {dropout.position.call for dropout in dropouts(model)} == {2}
