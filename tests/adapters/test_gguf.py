"""Qwen as one GGUF file: what is in it is what was fused, under the names that llama.cpp reads."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.models import llama, qwen3

from OnPolicyDistill.adapters import gguf_support
from OnPolicyDistill.adapters.card import CardFacts
from OnPolicyDistill.adapters.export import ExportRequest, export_model
from OnPolicyDistill.adapters.forms import GgufType
from OnPolicyDistill.adapters.fuse import fused_tensors
from OnPolicyDistill.adapters.gguf_reading import check_gguf, model_of_gguf
from OnPolicyDistill.adapters.gguf_support import (
    EMBEDDED_SPLIT,
    QWEN_SPLIT,
    SPLIT_NOTE,
    gguf_obstacle,
)
from OnPolicyDistill.adapters.gguf_vocabulary import read_vocabulary
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.settings.training import LoraSettings
from tests.adapters.conftest import write_tiny_model

FACTS = CardFacts(name="date-reader", base_model="tiny", method="test")
TOKENS = mx.array([[1, 2, 3, 4, 5, 280, 281]])
# What convert_hf_to_gguf.py writes for Qwen2ForCausalLM, read in llama.cpp's conversion/base.py.
KEYS = {
    "general.architecture",
    "general.type",
    "general.name",
    "general.size_label",
    "general.file_type",
    "general.quantization_version",
    "qwen2.block_count",
    "qwen2.context_length",
    "qwen2.embedding_length",
    "qwen2.feed_forward_length",
    "qwen2.attention.head_count",
    "qwen2.attention.head_count_kv",
    "qwen2.attention.layer_norm_rms_epsilon",
    "qwen2.rope.freq_base",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.chat_template",
}
QWEN3_KEYS = {"qwen3.attention.key_length", "qwen3.attention.value_length"}
# Half a last place of each type, of the number itself, or of its block's largest.
CLOSENESS = {"f16": 2**-11, "bf16": 2**-8}
Q8_CLOSENESS = 1 / 254 + 2**-10


def ignore(_what: str, _done: int, _total: int) -> None:
    pass


def trained(folder: Path) -> Policy:
    policy = load_policy(str(folder))
    attach_adapter(policy.model, LoraSettings(rank=4), ("q_proj", "down_proj"), seed=0)
    for layer in adapter_layers(policy.model).values():
        layer.lora_b = layer.lora_b + 0.05
    return policy


def as_qwen3(folder: Path) -> Path:
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 16}
    config |= {"rope_theta": 1_000_000.0}
    (folder / "config.json").write_text(json.dumps(config))
    mx.random.seed(0)
    save_weights(folder, qwen3.Model(qwen3.ModelArgs.from_dict(config)))
    return folder


def written(policy: Policy, target: Path, stored: GgufType) -> Path:
    request = ExportRequest("gguf", target, gguf_type=stored)
    return export_model(policy, request, FACTS, ignore) / f"model-{stored}.gguf"


@pytest.mark.parametrize("stored", ["f16", "bf16", "q8_0"])
@pytest.mark.parametrize("form", ["tied", "untied", "qwen3"])
def test_every_tensor_of_the_file_is_the_fused_one_as_near_as_its_type_can_be(
    tmp_path: Path, form: str, stored: GgufType
) -> None:
    folder = write_tiny_model(tmp_path / "model", tied=form == "tied")
    policy = trained(as_qwen3(folder) if form == "qwen3" else folder)
    file = written(policy, tmp_path / "out", stored)
    family = "qwen3" if form == "qwen3" else "qwen2"
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[family.upper()], 2)
    read = {tensor.name: tensor for tensor in gguf.GGUFReader(str(file)).tensors}
    fused = fused_tensors(policy.model, dequantize=True, progress=ignore)
    assert len(read) == len(fused)
    for source, array in fused.items():
        tensor = read[names.get_name(source, try_suffixes=(".weight", ".bias"))]
        wanted = np.array(array)
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(wanted.shape)
        if wanted.ndim < 2:
            assert tensor.tensor_type.name == "F32"
            assert np.array_equal(values, wanted)
            continue
        assert tensor.tensor_type.name == stored.upper()
        reach = np.abs(wanted)
        if stored == "q8_0":
            reach = reach.reshape(-1, 32).max(1, keepdims=True).repeat(32, 1).reshape(wanted.shape)
        closeness = CLOSENESS.get(stored, Q8_CLOSENESS)
        assert (np.abs(values - wanted) <= closeness * reach + 2**-24).all()


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_the_file_says_of_the_model_what_llama_cpps_converter_says(
    tmp_path: Path, family: str
) -> None:
    folder = write_tiny_model(tmp_path / "model")
    file = written(
        trained(as_qwen3(folder) if family == "qwen3" else folder), tmp_path / "o", "f16"
    )
    reader = gguf.GGUFReader(str(file))
    fields = {key: field.contents() for key, field in reader.fields.items()}
    own = {key for key in fields if not key.startswith("GGUF.")}
    wanted = {key.replace("qwen2.", f"{family}.") for key in KEYS}
    wanted |= QWEN3_KEYS if family == "qwen3" else set()
    assert {key for key in own if not key.startswith("tokenizer.ggml.")} == {
        key for key in wanted if not key.startswith("tokenizer.ggml.")
    }
    assert wanted <= own
    config = json.loads((folder / "config.json").read_text())
    assert fields[f"{family}.rope.freq_base"] == config["rope_theta"]
    assert fields[f"{family}.attention.head_count_kv"] == 2
    assert fields["general.architecture"] == family
    assert fields["general.file_type"] == gguf.LlamaFileType.MOSTLY_F16
    assert fields["tokenizer.chat_template"] == (folder / "chat_template.jinja").read_text()


def test_the_vocabulary_has_a_text_and_a_type_for_every_row(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    policy = load_policy(str(folder))
    vocabulary = read_vocabulary(folder, 320)
    assert len(vocabulary.tokens) == len(vocabulary.types) == 320
    known = policy.tokenizer.get_vocab()
    for text, number in known.items():
        assert vocabulary.tokens[number] == text
    for number in policy.stop_ids:
        assert vocabulary.types[number] == gguf.TokenType.CONTROL
    assert vocabulary.tokens[319] == "[PAD319]"
    assert vocabulary.types[319] == gguf.TokenType.UNUSED
    with pytest.raises(ModelError, match="the model 100 rows"):
        read_vocabulary(folder, 100)


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_a_model_read_from_the_file_says_what_the_trained_one_says(
    tmp_path: Path, family: str
) -> None:
    folder = write_tiny_model(tmp_path / "model", tied=False)
    policy = trained(as_qwen3(folder) if family == "qwen3" else folder)
    file = written(policy, tmp_path / "out", "f16")
    expected = policy.model(TOKENS)
    # Weights are rounded to 11 bits, and there are hundreds of them in every sum.
    error = mx.abs(model_of_gguf(file.parent, file)(TOKENS) - expected).max()
    assert float(error) < 2e-3 * float(mx.abs(expected).max())


def test_a_file_that_is_not_what_it_was_made_of_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    policy = trained(folder)
    fused = export_model(policy, ExportRequest("fused", tmp_path / "fused"), FACTS, ignore)
    file = written(policy, tmp_path / "out", "f16")
    check_gguf(file, fused, ignore)
    whole = bytearray(file.read_bytes())
    whole[-2000:-1900] = b"\x11" * 100
    file.write_bytes(whole)
    with pytest.raises(ModelError, match="is not what it was made of"):
        check_gguf(file, fused, ignore)
    file.write_bytes(whole[:4000])
    with pytest.raises(ModelError, match="cannot be read back"):
        check_gguf(file, fused, ignore)


def test_a_llama_that_mlx_lm_wrote_is_read_back_with_its_rows_in_order(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.model").write_bytes(b"")
    save_weights(folder, llama.Model(llama.ModelArgs.from_dict(config)))
    policy = trained(folder)
    file = written(policy, tmp_path / "out", "f16")
    expected = policy.model(TOKENS)
    error = mx.abs(model_of_gguf(file.parent, file)(TOKENS) - expected).max()
    assert float(error) < 2e-3 * float(mx.abs(expected).max())
    assert "f16 alone" in str(gguf_obstacle(folder, "q8_0"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_type": "qwen3_moe"}, "of the family qwen3_moe"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2}}, "(longrope)"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    folder = write_tiny_model(tmp_path / "model")
    assert gguf_obstacle(folder) is None
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    assert reason in str(gguf_obstacle(folder))


def test_a_tokenizer_that_llama_cpp_has_no_name_for_is_refused_and_a_near_one_noted(
    tmp_path: Path,
) -> None:
    folder = write_tiny_model(tmp_path / "model")
    text = (folder / "tokenizer.json").read_text()
    written_split = json.dumps(EMBEDDED_SPLIT)[1:-1]
    assert written_split in text
    assert gguf_support.split_note(folder) == SPLIT_NOTE
    (folder / "tokenizer.json").write_text(
        text.replace(written_split, json.dumps(QWEN_SPLIT)[1:-1])
    )
    assert gguf_support.split_note(folder) == ""
    assert gguf_obstacle(folder) is None
    (folder / "tokenizer.json").write_text(text.replace(written_split, "[a-z]+"))
    assert "has no name for" in str(gguf_obstacle(folder))


def test_without_the_package_gguf_it_is_said_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tiny_model(tmp_path / "model")
    monkeypatch.setattr(gguf_support, "find_spec", lambda _name: None)
    assert "pip install 'onpolicydistill[gguf]'" in str(gguf_obstacle(folder))


def test_positions_that_are_stretched_are_written_so(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}
    (folder / "config.json").write_text(json.dumps({**config, "rope_scaling": rope}))
    file = written(trained(folder), tmp_path / "out", "f16")
    fields = gguf.GGUFReader(str(file)).fields
    found = {key: field.contents() for key, field in fields.items() if "rope.scaling" in key}
    assert found == {
        "qwen2.rope.scaling.type": "yarn",
        "qwen2.rope.scaling.factor": 4.0,
        "qwen2.rope.scaling.original_context_length": 256,
    }
