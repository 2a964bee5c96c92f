import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest
from mlx_lm.models import llama

from OnPolicyDistill.adapters.card import CardFacts, Measurement
from OnPolicyDistill.adapters.export import (
    ExportRequest,
    export_adapter,
    export_model,
)
from OnPolicyDistill.adapters.files import save_adapter
from OnPolicyDistill.adapters.forms import ExportForm
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.errors import InputError, ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.settings.training import LoraSettings

TOKENS = mx.array([[1, 2, 3, 4, 5]])
FACTS = CardFacts(
    name="date-reader",
    base_model="tiny-student",
    method="on-policy distillation",
    teacher="tiny-teacher",
    run_id="distill_1",
    settings={"rank": "4"},
    measurements=(Measurement("Task accuracy", "40 %", "95 %"),),
)


def ignore(_what: str, _done: int, _total: int) -> None:
    pass


@pytest.fixture
def policy(tied_folder: Path, tmp_path: Path) -> Policy:
    """A policy with a trained adapter, which is saved in `adapter` as well."""
    policy = load_policy(str(tied_folder))
    adapter = attach_adapter(policy.model, LoraSettings(rank=4), ("q_proj", "down_proj"), seed=0)
    for layer in adapter_layers(policy.model).values():
        layer.lora_b = layer.lora_b + 0.05
    (tmp_path / "adapter").mkdir()
    save_adapter(tmp_path / "adapter", policy.model, adapter, "tiny")
    (tmp_path / "adapter" / "optimizer.safetensors").write_bytes(b"not part of it")
    return policy


def test_an_exported_adapter_works_in_mlx_lm_and_has_nothing_else_but_a_card(
    policy: Policy, tmp_path: Path
) -> None:
    folder = export_adapter(tmp_path / "adapter", tmp_path / "out", FACTS)
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["README.md", "adapter_config.json", "adapters.safetensors"]
    model, _ = mlx_lm.load(str(policy.path), adapter_path=str(folder))
    assert mx.array_equal(model(TOKENS), policy.model(TOKENS))


def test_an_exported_fused_model_works_in_mlx_lm(policy: Policy, tmp_path: Path) -> None:
    folder = export_model(policy, ExportRequest("fused", tmp_path / "out"), FACTS, ignore)
    model, _ = mlx_lm.load(str(folder))
    assert mx.allclose(model(TOKENS), policy.model(TOKENS), atol=1e-5)


@pytest.mark.parametrize("bits", [4, 8])
def test_an_exported_quantized_model_is_smaller_and_near(
    policy: Policy, tmp_path: Path, bits: int, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ExportRequest("quantized", tmp_path / "out", bits=bits, group_size=32)
    folder = export_model(policy, request, FACTS, ignore)
    assert capsys.readouterr().out == ""
    model, tokenizer = mlx_lm.load(str(folder))
    size = (folder / "model.safetensors").stat().st_size
    assert size < (policy.path / "model.safetensors").stat().st_size * bits / 16
    expected = policy.model(TOKENS)
    error = mx.abs(model(TOKENS) - expected).max() / mx.abs(expected).max()
    assert float(error) < (0.02 if bits == 8 else 0.4)
    assert tokenizer.chat_template is not None


def test_gguf_is_refused_for_families_that_nobody_here_can_write(
    policy: Policy, tmp_path: Path
) -> None:
    policy = replace(policy, path=shutil.copytree(policy.path, tmp_path / "model"))
    config = json.loads((policy.path / "config.json").read_text())
    (policy.path / "config.json").write_text(json.dumps({**config, "model_type": "phi3"}))
    with pytest.raises(ModelError, match=r"of the family phi3.*convert_hf_to_gguf"):
        export_model(policy, ExportRequest("gguf", tmp_path / "out"), FACTS, ignore)
    assert not (tmp_path / "out").exists()


def test_a_target_that_exists_is_never_written_to(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        export_adapter(tmp_path / "adapter", tmp_path / "out", FACTS)
    with pytest.raises(InputError, match="exists already"):
        export_model(policy, ExportRequest("fused", tmp_path / "out"), FACTS, ignore)
    assert (tmp_path / "out" / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("form", ["fused", "quantized"])
def test_a_failed_export_leaves_nothing_behind(
    tied_folder: Path, tmp_path: Path, form: ExportForm
) -> None:
    policy = load_policy(str(tied_folder))
    with pytest.raises(ModelError, match="no adapter"):
        export_model(policy, ExportRequest(form, tmp_path / "out"), FACTS, ignore)
    assert list(tmp_path.iterdir()) == []


def test_the_card_says_what_it_is_and_what_was_measured(policy: Policy, tmp_path: Path) -> None:
    assert policy.path.is_dir()
    folder = export_adapter(tmp_path / "adapter", tmp_path / "out", FACTS)
    card = (folder / "README.md").read_text()
    for words in (
        "base_model: tiny-student",
        "# date-reader",
        "from tiny-teacher",
        "| Task accuracy | 40 % | 95 % |",
        "- rank: 4",
        "mlx_lm.generate --model PATH/TO/tiny-student --adapter-path out",
        "`distill_1`",
    ):
        assert words in card


def test_a_card_leaves_out_what_is_not_known(policy: Policy, tmp_path: Path) -> None:
    assert policy.path.is_dir()
    facts = replace(FACTS, teacher="", run_id="", settings={}, measurements=())
    card = (export_adapter(tmp_path / "adapter", tmp_path / "out", facts) / "README.md").read_text()
    assert "Settings" not in card
    assert "Measured" not in card
    assert "Run:" not in card


def test_a_llama_with_a_sentencepiece_vocabulary_is_written_as_gguf(
    own_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((own_folder / "config.json").read_text())
    llama_config = {**config, "architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (own_folder / "config.json").write_text(json.dumps(llama_config))
    (own_folder / "tokenizer.model").write_bytes(b"")
    save_weights(own_folder, llama.Model(llama.ModelArgs.from_dict(llama_config)))
    policy = load_policy(str(own_folder))
    attach_adapter(policy.model, LoraSettings(rank=2), ("q_proj",), seed=0)
    folder = export_model(policy, ExportRequest("gguf", tmp_path / "out"), FACTS, ignore)
    assert capsys.readouterr().out == ""
    tensors = mx.load(str(folder / "model-f16.gguf"))
    assert tensors["token_embd.weight"].shape == (320, 64)
    assert not list(folder.glob("*.safetensors"))
    assert "llama-cli -m out/model-f16.gguf" in (folder / "README.md").read_text()
