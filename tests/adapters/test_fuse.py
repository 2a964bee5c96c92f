from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx_lm
import pytest
from mlx_lm.utils import load_model, quantize_model, save_config

from OnPolicyDistill.adapters.fuse import fuse
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter, detach_adapter
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.saving import copy_settings, save_weights
from OnPolicyDistill.settings.training import LoraSettings

TOKENS = mx.array([[1, 2, 3, 4, 5]])
ALL = ("q_proj", "v_proj", "o_proj", "down_proj")


def ignore(_what: str, _done: int, _total: int) -> None:
    pass


def trained(folder: Path, targets: tuple[str, ...] = ALL) -> Policy:
    policy = load_policy(str(folder))
    attach_adapter(policy.model, LoraSettings(rank=4), targets, seed=0)
    for number, layer in enumerate(adapter_layers(policy.model).values()):
        layer.lora_b = mx.random.normal(layer.lora_b.shape, scale=0.1, key=mx.random.key(number))
    return policy


@pytest.fixture(scope="module")
def quantized_folder(tied_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized")
    model, config = load_model(tied_folder)
    model, config = quantize_model(model, config, 32, 8)
    save_weights(folder, model)
    save_config(config, folder / "config.json")
    copy_settings(tied_folder, folder, with_config=False)
    return folder


@pytest.mark.parametrize("base", ["tied_folder", "untied_folder"])
def test_a_fused_model_computes_what_base_and_adapter_did(
    base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    policy = trained(request.getfixturevalue(base))
    fuse(policy, tmp_path, False, ignore)
    model, tokenizer = mlx_lm.load(str(tmp_path))
    assert mx.allclose(model(TOKENS), policy.model(TOKENS), atol=1e-5)
    assert tokenizer.chat_template is not None
    assert load_policy(str(tmp_path)).vocab_size == policy.vocab_size


def test_the_live_model_and_its_adapter_stay_as_they_are(tied_folder: Path, tmp_path: Path) -> None:
    policy = trained(tied_folder)
    before = policy.model(TOKENS)
    fuse(policy, tmp_path, False, ignore)
    assert mx.array_equal(policy.model(TOKENS), before)
    detach_adapter(policy.model)
    assert mx.array_equal(policy.model(TOKENS), load_policy(str(tied_folder)).model(TOKENS))


def test_a_quantized_base_stays_quantized(quantized_folder: Path, tmp_path: Path) -> None:
    policy = trained(quantized_folder)
    fuse(policy, tmp_path, False, ignore)
    fused = load_policy(str(tmp_path)).model
    assert isinstance(fused.layers[0].self_attn.q_proj, nn.QuantizedLinear)
    difference = mx.abs(fused(TOKENS) - policy.model(TOKENS)).max()
    assert 0 < float(difference) < 0.05 * float(mx.abs(policy.model(TOKENS)).max())


def test_a_dequantized_fusion_is_exact(quantized_folder: Path, tmp_path: Path) -> None:
    policy = trained(quantized_folder, ("q_proj",))
    fuse(policy, tmp_path, True, ignore)
    fused = load_policy(str(tmp_path)).model
    assert not any(isinstance(module, nn.QuantizedLinear) for module in fused.modules())
    assert mx.allclose(fused(TOKENS), policy.model(TOKENS), atol=1e-5)


def test_progress_counts_every_adapted_layer(tied_folder: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    fuse(trained(tied_folder), tmp_path, False, lambda *said: heard.append(said))
    assert ("fusing layers", 8, 8) in heard
    assert heard[-1] == ("writing weights", 1, 1)


def test_without_an_adapter_there_is_nothing_to_fuse(tied_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no adapter to fuse"):
        fuse(load_policy(str(tied_folder)), tmp_path, False, ignore)
