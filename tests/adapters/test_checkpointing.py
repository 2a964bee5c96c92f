from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.models import llama, qwen2
from mlx_lm.models.cache import make_prompt_cache

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
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
    student = adapted(qwen2.Model(qwen2.ModelArgs("qwen2", 64, 8, 256, 4, 1e-6, 192, 2)))
    gradients(student)
    peaks = []
    for turn in range(2):
        mx.reset_peak_memory()
        start = mx.get_active_memory()
        gradients(student)
        peaks.append(mx.get_peak_memory() - start)
        if turn == 0:
            checkpoint_layers(student)
    assert peaks[1] < 0.6 * peaks[0]


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
