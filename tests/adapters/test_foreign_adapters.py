"""Adapters that others wrote: PEFT's form is read, and what cannot be is told in words."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest

from OnPolicyDistill.adapters.card import CardFacts
from OnPolicyDistill.adapters.export import export_adapter, export_peft
from OnPolicyDistill.adapters.files import load_adapter, read_adapter_weights
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.planning.saved_adapters import peft_module, read_adapter_config
from tests.adapters.test_files import TOKENS, change_config, save_trained

FACTS = CardFacts(name="date-reader", base_model="Qwen/Qwen2.5-0.5B", method="distillation")
PEFT_CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}


def peft_folder(base: Path, tmp_path: Path, **settings: object) -> tuple[Path, mx.array]:
    """An adapter in PEFT's form, and the logits of the model that it belongs on."""
    expected = save_trained(base, tmp_path / "ours", **settings)
    return export_peft(tmp_path / "ours", tmp_path / "peft", FACTS, base), expected


def written(folder: Path, config: dict[str, object], *names: str, rank: int = 4) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    names = names or ("base_model.model.x.lora_A.weight",)
    tensors = {name: mx.zeros((rank, 16)) for name in names}
    mx.save_safetensors(str(folder / "adapter_model.safetensors"), tensors)
    return folder


@pytest.mark.parametrize("layers", [-1, 1])
def test_a_peft_adapter_gives_the_logits_of_the_one_it_was_made_from(
    tied_folder: Path, tmp_path: Path, layers: int
) -> None:
    folder, expected = peft_folder(tied_folder, tmp_path, layers=layers)
    policy, adapter = load_adapter(load_policy(str(tied_folder)), folder)
    assert mx.array_equal(policy.model(TOKENS), expected)
    assert (adapter.rank, adapter.num_modules) == (4, 4 if layers == -1 else 2)


def test_a_peft_adapter_leaves_as_one_that_mlx_lm_loads(tied_folder: Path, tmp_path: Path) -> None:
    folder, expected = peft_folder(tied_folder, tmp_path)
    export_adapter(folder, tmp_path / "out", FACTS)
    model, _ = mlx_lm.load(str(tied_folder), adapter_path=str(tmp_path / "out"))
    assert mx.array_equal(model(TOKENS), expected)


def test_rank_stabilized_adapters_have_their_own_scale(tmp_path: Path) -> None:
    config = read_adapter_config(written(tmp_path, PEFT_CONFIG | {"use_rslora": True}))
    assert config.lora_parameters.scale == 4.0
    plain = read_adapter_config(written(tmp_path, PEFT_CONFIG))
    assert plain.lora_parameters.scale == 2.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"use_dora": True}, "it uses DoRA"),
        ({"peft_type": "IA3"}, "of the type IA3"),
        ({"bias": "all"}, "trains biases"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"rank_pattern": {"q_proj": 8}}, "differ from layer to layer"),
        ({"r": -4}, "r: Input should be greater"),
        ({"r": 8}, "names the rank 8"),
        ({"lora_alpha": "much"}, "lora_alpha"),
    ],
)
def test_what_peft_says_and_mlx_lm_cannot_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        read_adapter_config(written(tmp_path, PEFT_CONFIG | changes))


def test_a_tensor_that_belongs_to_no_linear_layer_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path, PEFT_CONFIG, "base_model.model.embed.lora_embedding_A")
    with pytest.raises(ModelError, match=r"it holds base_model\.model\.embed\.lora_emb"):
        read_adapter_config(folder)


@pytest.mark.parametrize("middle", ["", "default."])
def test_the_halves_are_known_in_older_files_too(middle: str) -> None:
    name = f"base_model.model.model.layers.0.self_attn.q_proj.lora_A.{middle}weight"
    assert peft_module(name) == ("model.layers.0.self_attn.q_proj", "lora_a")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lora_parameters": {"rank": -4, "scale": 2.0}}, "rank: Input should be greater"),
        ({"lora_parameters": {"rank": 10**9, "scale": 2.0}}, "names the rank 1000000000"),
        ({"lora_parameters": {"rank": 4, "scale": float("inf")}}, "scale"),
        ({"lora_parameters": {"rank": 4, "scale": 2.0, "dropout": 1.5}}, "dropout"),
    ],
)
def test_an_impossible_config_is_refused_before_anything_is_made(
    tied_folder: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    save_trained(tied_folder, tmp_path)
    change_config(tmp_path, **changes)
    with pytest.raises(ModelError, match=words):
        read_adapter_config(tmp_path)


def test_a_folder_without_a_config_is_called_an_adapter_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"adapter folder .* has no adapter_config\.json"):
        read_adapter_config(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(
    tied_folder: Path, tmp_path: Path, value: float
) -> None:
    save_trained(tied_folder, tmp_path)
    tensors = dict(mx.load(str(tmp_path / "adapters.safetensors")))
    name = sorted(tensors)[1]
    tensors[name] = mx.where(mx.arange(tensors[name].shape[0])[:, None] == 0, value, tensors[name])
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), tensors)
    with pytest.raises(ModelError, match=f"1 of its 8 tensors .* first {name}"):
        read_adapter_weights(tmp_path)
    policy = load_policy(str(tied_folder))
    with pytest.raises(ModelError, match="not finite"):
        load_adapter(policy, tmp_path)
