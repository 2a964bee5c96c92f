"""An adapter in PEFT's form says what ours says; benchmarks/peft_agreement.py asks PEFT itself."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from benchmarks import peft_agreement
from OnPolicyDistill.adapters.card import CardFacts
from OnPolicyDistill.adapters.export import export_peft
from OnPolicyDistill.adapters.files import save_adapter
from OnPolicyDistill.adapters.forms import peft_obstacle
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.errors import InputError, ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.settings.training import LoraSettings

FACTS = CardFacts(name="date-reader", base_model="Qwen/Qwen2.5-0.5B", method="distillation")
ALL = ("q_proj", "v_proj", "o_proj", "gate_proj", "down_proj")


def trained(folder: Path, target: Path, lora: LoraSettings, names: tuple[str, ...]) -> Policy:
    """A policy with an adapter whose B is random, saved in a folder."""
    policy = load_policy(str(folder))
    adapter = attach_adapter(policy.model, lora, names, seed=0)
    for number, layer in enumerate(adapter_layers(policy.model).values()):
        layer.lora_b = mx.random.normal(layer.lora_b.shape, key=mx.random.key(number))
    target.mkdir()
    save_adapter(target, policy.model, adapter, str(folder))
    return policy


def saved(target: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """An adapter's weights with these names and shapes."""
    file = target / "adapters.safetensors"
    mx.save_safetensors(str(file), {name: mx.zeros(shape) for name, shape in shapes.items()})
    return file


@pytest.mark.parametrize(
    "lora",
    [
        LoraSettings(rank=4, alpha=7),
        LoraSettings(rank=1, alpha=0.3),
        LoraSettings(rank=3, layers=1),
    ],
    ids=["rank 4", "rank 1", "last layer"],
)
def test_peft_would_add_to_every_weight_what_we_add(
    tied_folder: Path, tmp_path: Path, lora: LoraSettings
) -> None:
    policy = trained(tied_folder, tmp_path / "adapter", lora, ALL)
    folder = export_peft(tmp_path / "adapter", tmp_path / "out", FACTS, tied_folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = mx.load(str(folder / "adapter_model.safetensors"))
    assert isinstance(tensors, dict)
    layers = adapter_layers(policy.model)
    assert len(tensors) == 2 * len(layers)
    for name, layer in layers.items():
        a, b = (
            np.array(tensors[f"base_model.model.{name}.lora_{half}.weight"]) for half in ("A", "B")
        )
        assert a.shape[0] == b.shape[1] == config["r"] == lora.rank
        theirs = config["lora_alpha"] / config["r"] * (b @ a)
        ours = np.array(layer.fuse().weight) - np.array(layer.linear.weight)
        # Ours went through a sum with a weight of about 1, which rounds to 1e-7 of it.
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
        assert any(name.endswith(f".{target}") for target in config["target_modules"])


def test_the_config_is_that_of_a_causal_language_model_and_names_its_base(
    tied_folder: Path, tmp_path: Path
) -> None:
    lora = LoraSettings(rank=4, alpha=8, dropout=0.1)
    trained(tied_folder, tmp_path / "adapter", lora, ("q_proj", "down_proj"))
    folder = export_peft(tmp_path / "adapter", tmp_path / "out", FACTS, tied_folder)
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config == {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "Qwen/Qwen2.5-0.5B",
        "r": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.1,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "inference_mode": True,
        "target_modules": ["mlp.down_proj", "self_attn.q_proj"],
        "layers_to_transform": None,
        "layers_pattern": None,
    }
    assert isinstance(config["lora_alpha"], int)


def test_an_adapter_on_the_last_layers_names_them(tied_folder: Path, tmp_path: Path) -> None:
    trained(tied_folder, tmp_path / "adapter", LoraSettings(layers=1), ("q_proj",))
    folder = export_peft(tmp_path / "adapter", tmp_path / "out", FACTS, None)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["layers_to_transform"], config["layers_pattern"]) == ([1], "layers")


def test_the_card_shows_how_peft_loads_it(tied_folder: Path, tmp_path: Path) -> None:
    trained(tied_folder, tmp_path / "adapter", LoraSettings(), ("q_proj",))
    card = (
        export_peft(tmp_path / "adapter", tmp_path / "out", FACTS, None) / "README.md"
    ).read_text()
    for words in (
        "library_name: peft",
        "```python\nfrom peft import PeftModel",
        "AutoModelForCausalLM.from_pretrained('Qwen/Qwen2.5-0.5B')",
        "PeftModel.from_pretrained(base, 'out')",
    ):
        assert words in card


def test_the_card_of_a_quantized_base_says_that_transformers_needs_the_original(
    tied_folder: Path, tmp_path: Path
) -> None:
    trained(tied_folder, tmp_path / "adapter", LoraSettings(), ("q_proj",))
    packed = tmp_path / "packed"
    shutil.copytree(tied_folder, packed)
    config = json.loads((packed / "config.json").read_text())
    config["quantization"] = {"bits": 4, "group_size": 32}
    (packed / "config.json").write_text(json.dumps(config))
    folder = export_peft(tmp_path / "adapter", tmp_path / "out", FACTS, packed)
    assert "transformers cannot load it" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("module", "shape", "reason"),
    [
        ("model.layers.0.mlp.switch_mlp.up_proj", (8, 4, 64), "stacked experts"),
        ("language_model.model.layers.0.self_attn.q_proj", (64, 4), "another name"),
        ("model.embed_tokens", (64, 4), "another name"),
        ("model.layers.0.mlp.gate", (64, 4), "chooses experts"),
        ("model.layers.0.linear_attn.in_proj", (64, 4), "download it first"),
    ],
)
def test_what_peft_cannot_express_is_refused_in_words(
    tmp_path: Path, module: str, shape: tuple[int, ...], reason: str
) -> None:
    lora = {"rank": 4, "scale": 2.0}
    config = {"num_layers": -1, "lora_parameters": lora, "model": "m"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    file = saved(tmp_path, {f"{module}.lora_a": shape})
    obstacle = peft_obstacle(file, None)
    assert obstacle is not None
    assert reason in obstacle
    with pytest.raises(ModelError, match=reason):
        export_peft(tmp_path, tmp_path / "out", FACTS, None)
    assert not (tmp_path / "out").exists()


def test_the_models_own_files_decide_which_names_there_are(
    tied_folder: Path, tmp_path: Path
) -> None:
    here = saved(tmp_path, {"model.layers.1.mlp.up_proj.lora_a": (64, 4)})
    assert peft_obstacle(here, tied_folder) is None
    gone = saved(tmp_path, {"model.layers.1.mlp.gate_up_proj.lora_a": (64, 4)})
    assert peft_obstacle(gone, None) is None
    obstacle = peft_obstacle(gone, tied_folder)
    assert obstacle is not None
    assert "have no model.layers.1.mlp.gate_up_proj.weight" in obstacle


def test_neither_a_folder_that_exists_nor_one_without_an_adapter_becomes_an_export(
    tied_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"no adapter_config\.json"):
        export_peft(tied_folder, tmp_path / "out", FACTS, None)
    trained(tied_folder, tmp_path / "adapter", LoraSettings(), ("q_proj",))
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists already"):
        export_peft(tmp_path / "adapter", tmp_path / "out", FACTS, None)


def test_the_comparison_says_so_where_there_is_no_torch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["peft_agreement"])
    monkeypatch.setattr(peft_agreement, "has_torch", lambda _: False)
    assert peft_agreement.main() == 0
    assert "nothing was compared" in capsys.readouterr().out


@pytest.mark.parametrize("case", peft_agreement.CASES, ids=lambda case: case.name)
def test_the_comparison_writes_what_torch_reads(case: peft_agreement.Case, tmp_path: Path) -> None:
    assert peft_agreement.write_case(case, tmp_path) > 0
    base, adapted = (np.load(tmp_path / f"{name}.npy") for name in ("base", "adapted"))
    assert np.abs(base - adapted).max() > 0.1
    assert (tmp_path / "peft" / "adapter_model.safetensors").is_file()
