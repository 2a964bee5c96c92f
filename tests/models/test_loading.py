import json
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.utils import load_model, quantize_model, save_config, save_model

from OnPolicyDistill import memory
from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.policy import encode_text, vocabulary_head


def change_config(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_folder_loads_frozen_and_in_evaluation_mode(tied_folder: Path) -> None:
    policy = load_policy(str(tied_folder))
    assert flat_arrays(policy.model.trainable_parameters()) == {}
    assert policy.model.training is False
    assert policy.path == tied_folder


@pytest.mark.parametrize("mixed_precision", [True, False])
def test_loading_sets_the_devices_limits_for_all_models_together(
    tied_folder: Path, mixed_precision: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an emulated Metal of which half is taken, so that every weight needs wiring."""
    wired: list[int] = []
    told = {"memory_size": 10**8, "max_recommended_working_set_size": 10**9}
    monkeypatch.setattr(mx, "device_info", lambda: told)
    monkeypatch.setattr(memory, "SYSTEM_BYTES", 0)
    monkeypatch.setattr(mx, "set_wired_limit", wired.append)
    ballast = mx.zeros((10_000_000,))
    mx.eval(ballast)
    memory.release_buffers()
    told["memory_size"] = 2 * mx.get_active_memory()
    first = load_policy(str(tied_folder), mixed_precision)
    num_bytes = sum(array.nbytes for array in flat_arrays(first.model.parameters()).values())
    load_policy(str(tied_folder), mixed_precision)
    assert wired[1] - wired[0] == pytest.approx(num_bytes, rel=0.1)


def test_the_vocabulary_is_the_tokenizers_and_not_the_padded_width(tied_folder: Path) -> None:
    policy = load_policy(str(tied_folder))
    assert policy.vocab_size == 283
    assert policy.model.args.vocab_size == 320


def test_stop_ids_are_those_of_every_file_together(own_folder: Path) -> None:
    (own_folder / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    change_config(own_folder, eos_token_id=7)
    policy = load_policy(str(own_folder))
    assert policy.stop_ids == {5, 6, 7, policy.tokenizer.eos_token_id}
    assert policy.tokenizer.eos_token_ids == policy.stop_ids


def test_mixed_precision_off_casts_weights_to_float32(own_folder: Path) -> None:
    model, _ = load_model(own_folder)
    model.set_dtype(mx.bfloat16)
    save_model(own_folder, model)
    kept = load_policy(str(own_folder))
    cast = load_policy(str(own_folder), mixed_precision=False)
    assert {array.dtype for array in flat_arrays(kept.model.parameters()).values()} == {mx.bfloat16}
    assert {array.dtype for array in flat_arrays(cast.model.parameters()).values()} == {mx.float32}
    assert kept.fingerprint != cast.fingerprint


def test_quantized_bases_load_packed(own_folder: Path) -> None:
    model, config = load_model(own_folder)
    model, config = quantize_model(model, config, 32, 8)
    save_model(own_folder, model)
    save_config(config, own_folder / "config.json")
    policy = load_policy(str(own_folder), mixed_precision=False)
    layer = policy.model.layers[0].self_attn.q_proj
    assert layer.weight.dtype == mx.uint32
    assert layer.scales.dtype == mx.float32
    assert vocabulary_head(policy).quantization is not None


def test_the_fingerprint_knows_weights_tokenizer_and_config_but_not_the_place(
    own_folder: Path, tied_folder: Path
) -> None:
    assert load_policy(str(own_folder)).fingerprint == load_policy(str(tied_folder)).fingerprint
    seen = {load_policy(str(own_folder)).fingerprint}
    change_config(own_folder, rms_norm_eps=1e-5)
    seen.add(load_policy(str(own_folder)).fingerprint)
    model, _ = load_model(own_folder)
    model.model.norm.weight = model.model.norm.weight * 1.0001
    save_model(own_folder, model)
    seen.add(load_policy(str(own_folder)).fingerprint)
    (own_folder / "tokenizer.json").write_text((own_folder / "tokenizer.json").read_text() + "\n")
    seen.add(load_policy(str(own_folder)).fingerprint)
    assert len(seen) == 4


def test_unloading_returns_the_memory_even_when_the_policy_is_still_referenced(
    own_folder: Path,
) -> None:
    before = mx.get_active_memory()
    policy = load_policy(str(own_folder))
    num_bytes = sum(array.nbytes for array in flat_arrays(policy.model.parameters()).values())
    assert mx.get_active_memory() - before >= num_bytes
    unload(policy)
    assert mx.get_active_memory() - before < num_bytes // 50


def test_a_vocabulary_head_outlives_its_model(untied_folder: Path) -> None:
    policy = load_policy(str(untied_folder))
    head = vocabulary_head(policy)
    expected = head.logits(mx.ones((1, 64)))
    mx.eval(expected)
    unload(policy)
    assert mx.array_equal(head.logits(mx.ones((1, 64))), expected)


def test_an_unknown_name_is_refused_in_words() -> None:
    with pytest.raises(ModelError, match="no folder, no known alias and no hub id"):
        load_policy("no-such-model")


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        load_policy(str(tmp_path))


def test_a_broken_config_is_refused(own_folder: Path) -> None:
    (own_folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json is damaged"):
        load_policy(str(own_folder))


def test_an_unknown_architecture_is_refused_by_name(own_folder: Path) -> None:
    change_config(own_folder, model_type="perceptron")
    with pytest.raises(
        ModelError, match="architecture perceptron, which can neither answer nor grade here: mlx-lm"
    ):
        load_policy(str(own_folder))


@pytest.mark.parametrize("key", ["hidden_size", "num_attention_heads"])
def test_a_config_that_lacks_a_dimension_is_refused(own_folder: Path, key: str) -> None:
    values = json.loads((own_folder / "config.json").read_text())
    del values[key]
    (own_folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=f"has no usable {key}"):
        load_policy(str(own_folder))


def test_weights_of_another_size_are_refused(own_folder: Path) -> None:
    change_config(own_folder, intermediate_size=96)
    with pytest.raises(ModelError, match=r"do not fit its config\.json"):
        load_policy(str(own_folder))


def test_a_folder_without_weights_is_refused(own_folder: Path) -> None:
    (own_folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="There are no weights"):
        load_policy(str(own_folder))


def test_a_missing_shard_is_named(own_folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (own_folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="lacks 1 of 2 weight files, first model-00002-of-00002"):
        load_policy(str(own_folder))


@pytest.mark.parametrize("missing_bytes", [1, 10_000])
def test_a_truncated_shard_is_named_with_its_size(own_folder: Path, missing_bytes: int) -> None:
    file = own_folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-missing_bytes])
    with pytest.raises(ModelError, match=r"model\.safetensors is truncated"):
        load_policy(str(own_folder))


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"<html>not found</html>", b"\xff" * 9])
def test_what_is_no_safetensors_file_is_refused(own_folder: Path, content: bytes) -> None:
    (own_folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="is not a safetensors file"):
        load_policy(str(own_folder))


@pytest.mark.parametrize("content", ["{", '{"model": {"type": "none"}}'])
def test_a_broken_tokenizer_is_refused(own_folder: Path, content: str) -> None:
    (own_folder / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged"):
        load_policy(str(own_folder))


def test_a_model_without_a_tokenizer_is_refused_and_not_given_one_without_words(
    own_folder: Path,
) -> None:
    (own_folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="has no tokenizer"):
        load_policy(str(own_folder))


def test_a_model_without_a_chat_template_is_refused(own_folder: Path) -> None:
    (own_folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        load_policy(str(own_folder))


def test_a_token_that_the_model_never_learned_is_refused_in_a_text_and_never_drawn(
    own_folder: Path,
) -> None:
    """Some models ship one: Gemma 3's for pictures lies behind the rows of its text models."""
    policy = load_policy(str(own_folder))
    rows = policy.model.model.embed_tokens.weight.shape[0]
    tokenizer = json.loads((own_folder / "tokenizer.json").read_text())
    last = tokenizer["added_tokens"][-1]
    tokenizer["added_tokens"] += [
        {**last, "id": number, "content": f"<|spare{number}|>"}
        for number in range(last["id"] + 1, rows + 1)
    ]
    (own_folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    policy = load_policy(str(own_folder))
    assert policy.vocab_size == rows
    with pytest.raises(DatasetError, match=rf"has the token <\|spare{rows}\|>"):
        encode_text(policy, f"a <|spare{rows}|>")
