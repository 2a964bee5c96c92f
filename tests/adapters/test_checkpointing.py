from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.models import llama, qwen2
from mlx_lm.models.cache import make_prompt_cache

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers, num_recomputed
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.settings.training import LoraSettings

TOKENS = mx.arange(192).reshape(2, 96)


def adapted(model: nn.Module) -> nn.Module:
    attach_adapter(model, LoraSettings(rank=4), ("q_proj", "down_proj"), seed=0)
    for layer in adapter_layers(model).values():
        layer.lora_b = layer.lora_b + 0.05
    model.train()
    return model


def gradients(model: nn.Module) -> dict[str, mx.array]:
    loss = nn.value_and_grad(model, lambda tokens: model(tokens).square().mean())
    found = flat_arrays(loss(TOKENS)[1])
    mx.eval(found)
    return found


@pytest.fixture
def student(tied_folder: Path) -> nn.Module:
    return adapted(load_policy(str(tied_folder)).model)


def test_gradients_are_those_without_checkpointing(student: nn.Module) -> None:
    plain = gradients(student)
    assert checkpoint_layers(student) == 2
    recomputed = gradients(student)
    assert plain.keys() == recomputed.keys()
    assert all(mx.allclose(plain[name], recomputed[name], rtol=1e-4, atol=1e-7) for name in plain)


def test_activations_take_less_memory() -> None:
    # One layer's recomputation is always there; enough layers make it a small part. It was 0.62
    # where gradients of parameters waited for all layers, 0.19 where each layer's come first.
    student = adapted(qwen2.Model(qwen2.ModelArgs("qwen2", 64, 20, 256, 4, 1e-6, 192, 2)))
    gradients(student)
    peaks = []
    for turn in range(2):
        mx.reset_peak_memory()
        start = mx.get_active_memory()
        gradients(student)
        peaks.append(mx.get_peak_memory() - start)
        if turn == 0:
            checkpoint_layers(student)
    assert peaks[1] < 0.3 * peaks[0]


def test_another_model_of_the_same_class_is_left_alone(
    student: nn.Module, tied_folder: Path
) -> None:
    teacher = load_policy(str(tied_folder)).model
    plain = type(teacher.layers[0])
    checkpoint_layers(student)
    assert type(teacher.layers[0]) is plain
    assert isinstance(student.layers[0], plain)
    assert type(student.layers[0]) is not plain


def test_asking_twice_changes_nothing(student: nn.Module) -> None:
    checkpoint_layers(student)
    once = type(student.layers[0])
    checkpoint_layers(student)
    assert type(student.layers[0]) is once


def test_parameter_names_stay(student: nn.Module) -> None:
    names = flat_arrays(student.parameters()).keys()
    checkpoint_layers(student)
    assert flat_arrays(student.parameters()).keys() == names


def test_weights_are_real_arrays_again_after_a_backward_pass(student: nn.Module) -> None:
    checkpoint_layers(student)
    before = {name: mx.array(array) for name, array in flat_arrays(student.parameters()).items()}
    gradients(student)
    after = flat_arrays(student.parameters())
    assert all(mx.array_equal(before[name], after[name]) for name in before)


def test_generation_with_a_cache_runs_as_before(student: nn.Module) -> None:
    student.eval()
    expected = student(TOKENS)[:, -1]
    checkpoint_layers(student)
    cache = make_prompt_cache(student)
    student(TOKENS[:, :-1], cache=cache)
    assert mx.allclose(student(TOKENS[:, -1:], cache=cache)[:, 0], expected, atol=1e-4)


def test_families_that_pass_the_cache_by_name_work_too() -> None:
    arguments = llama.ModelArgs("llama", 32, 2, 32, 2, 1e-6, 192, max_position_embeddings=128)
    model = adapted(llama.Model(arguments))
    plain = gradients(model)
    checkpoint_layers(model)
    recomputed = gradients(model)
    assert all(mx.allclose(plain[name], recomputed[name], rtol=1e-4, atol=1e-7) for name in plain)
    cache = make_prompt_cache(model)
    assert model(TOKENS, cache=cache).shape == (2, 96, 192)
    assert cache[0].offset == 96


class NamedLayer(nn.Module):
    """A layer that is called as hybrid architectures call theirs: pairs, and the rest by name."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 8)

    def __call__(
        self, x: mx.array, angles: tuple[mx.array, mx.array], *, mask: mx.array, power: int
    ) -> tuple[mx.array, mx.array]:
        cosine, sine = angles
        mixed = mx.tanh(self.project(x * cosine)) * mask + sine
        return x + mixed**power, mixed.sum()


class NamedModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [NamedLayer() for _ in range(3)]

    def __call__(self, x: mx.array) -> mx.array:
        angles = (mx.cos(x), mx.sin(x))
        aside = mx.array(0.0)
        for layer in self.layers:
            x, more = layer(x, angles, mask=mx.ones((4, 1)), power=2)
            aside = aside + more
        return x + aside


def test_layers_that_take_names_and_pairs_and_give_pairs_are_recomputed() -> None:
    model = NamedModel()
    inputs = mx.random.normal((4, 8), key=mx.random.key(0))
    loss = nn.value_and_grad(model, lambda x: model(x).square().mean())
    plain = flat_arrays(loss(inputs)[1])
    checkpoint_layers(model)
    recomputed = flat_arrays(loss(inputs)[1])
    assert num_recomputed(model) == 3
    assert all(mx.allclose(plain[name], recomputed[name], rtol=1e-5) for name in plain)


def test_recomputed_layers_are_counted_and_others_are_not(student: nn.Module) -> None:
    checkpoint_layers(student)
    assert num_recomputed(student) == 0
    gradients(student)
    assert num_recomputed(student) == 2
    gradients(student)
    assert num_recomputed(student) == 4
    student.eval()
    student(TOKENS, cache=make_prompt_cache(student))
    student(TOKENS)
    assert num_recomputed(student) == 4


def test_a_layer_with_dropout_of_its_own_is_refused_in_words() -> None:
    model = NamedModel()
    model.layers[1].drop = nn.Dropout(0.1)
    with pytest.raises(ModelError, match="grad_checkpoint"):
        checkpoint_layers(model)
    assert not any("num_recomputed" in vars(layer) for layer in model.layers)
    model.layers[1].drop = nn.Dropout(0.0)
    assert checkpoint_layers(model) == 3
