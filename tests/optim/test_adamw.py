from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.optimizers import AdamW

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.optim.adamw import (
    apply_gradients,
    create_adamw,
    load_optimizer,
    save_optimizer,
)
from OnPolicyDistill.settings.training import OptimizerSettings

SETTINGS = OptimizerSettings(learning_rate=0.1, weight_decay=0.05)


class Pair(nn.Module):
    """Two layers of which only the second learns, as with an adapter on the last layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(3, 2), nn.Linear(2, 2)]
        self.layers[0].freeze()
        self.layers[1].weight = mx.array([[1.0, -2.0], [0.5, 4.0]])
        self.layers[1].bias = mx.array([0.0, 1.0])


def gradients(seed: int) -> dict[str, object]:
    key = mx.random.key(seed)
    weight, bias = mx.random.split(key)
    return {
        "layers": [
            {},
            {
                "weight": mx.random.normal((2, 2), key=weight),
                "bias": mx.random.normal((2,), key=bias),
            },
        ]
    }


def step(optimizer: AdamW, model: nn.Module, seed: int) -> None:
    apply_gradients(optimizer, model, gradients(seed), 0.1 / seed)


def numpy_adamw(weight: np.ndarray, grads: list[np.ndarray], rates: list[float]) -> np.ndarray:
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for count, (grad, rate) in enumerate(zip(grads, rates, strict=True), 1):
        first = 0.9 * first + 0.1 * grad
        second = 0.999 * second + 0.001 * grad**2
        weight = weight * (1 - rate * 0.05)
        mean, variance = first / (1 - 0.9**count), second / (1 - 0.999**count)
        weight = weight - rate * mean / (np.sqrt(variance) + 1e-8)
    return weight


def test_the_first_step_moves_every_weight_by_the_rate_whatever_the_gradient() -> None:
    model = Pair()
    optimizer = create_adamw(OptimizerSettings(learning_rate=0.1), model)
    before = np.array(model.layers[1].weight)
    grads = gradients(1)
    apply_gradients(optimizer, model, grads, 0.1)
    moved = np.array(model.layers[1].weight) - before
    assert np.allclose(moved, -0.1 * np.sign(np.array(grads["layers"][1]["weight"])), atol=1e-5)


def test_five_steps_equal_the_formula_written_in_numpy() -> None:
    model = Pair()
    optimizer = create_adamw(SETTINGS, model)
    start = np.array(model.layers[1].weight, dtype=np.float64)
    seeds = range(1, 6)
    for seed in seeds:
        step(optimizer, model, seed)
    grads = [np.array(gradients(seed)["layers"][1]["weight"], dtype=np.float64) for seed in seeds]
    expected = numpy_adamw(start, grads, [0.1 / seed for seed in seeds])
    assert np.allclose(np.array(model.layers[1].weight), expected, rtol=1e-5)


def test_restored_state_continues_to_the_same_bits(tmp_path: Path) -> None:
    model = Pair()
    optimizer = create_adamw(SETTINGS, model)
    for seed in (1, 2):
        step(optimizer, model, seed)
    save_optimizer(tmp_path, optimizer)
    copy = Pair()
    copy.layers[1].update(model.layers[1].parameters())
    restored = create_adamw(SETTINGS, copy)
    load_optimizer(tmp_path, restored)
    for seed in (3, 4):
        step(optimizer, model, seed)
        step(restored, copy, seed)
    expected = flat_arrays([model.layers[1].parameters(), optimizer.state])
    actual = flat_arrays([copy.layers[1].parameters(), restored.state])
    assert expected.keys() == actual.keys()
    for name in expected:
        assert mx.array_equal(expected[name], actual[name]), name


def test_state_of_other_parameters_is_refused(tmp_path: Path) -> None:
    save_optimizer(tmp_path, create_adamw(SETTINGS, nn.Linear(2, 2)))
    with pytest.raises(RunError, match="other parameters"):
        load_optimizer(tmp_path, create_adamw(SETTINGS, Pair()))


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all"])
def test_an_unreadable_state_is_said_in_words(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "optimizer.safetensors").write_bytes(content)
    with pytest.raises(RunError, match="cannot be read"):
        load_optimizer(tmp_path, create_adamw(SETTINGS, Pair()))
