"""The registry: names, forms, facts; and the totals that the dimensions must add up to."""

import json
from pathlib import Path

import pytest

from OnPolicyDistill.planning.dimensions import (
    decoder_layers,
    num_parameters,
    parse_dimensions,
    weight_bytes,
)
from OnPolicyDistill.registry import (
    all_models,
    base_name,
    find_model,
    local_folder,
    lora_targets,
)

NAMES = [model.alias for model in all_models() if model.folder is None]


def dimensions_of(name):
    model = find_model(name)
    return parse_dimensions({**model.config, **quantization(model.bits)}, name)


def quantization(bits):
    return {} if bits == 16 else {"quantization": {"bits": bits, "group_size": 64}}


@pytest.mark.parametrize("name", NAMES)
def test_dimensions_add_up_to_the_published_number_of_parameters(name):
    model = find_model(name)
    assert num_parameters(parse_dimensions(model.config, name)) == model.params


@pytest.mark.parametrize("name", NAMES)
def test_every_default_lora_target_is_a_linear_layer_of_its_model(name):
    model = find_model(name)
    layers = decoder_layers(dimensions_of(name))
    if model.lora_targets is None:
        assert model.family == "granitemoehybrid"
        return
    assert set(model.lora_targets) <= {found.name for layer in layers for found in layer}


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("qwen2.5-32b", 65.5),
        ("qwen2.5-32b-8bit", 34.8),
        ("qwen2.5-32b-4bit", 18.4),
        ("qwen2.5-7b", 15.2),
        ("qwen2.5-7b-4bit", 4.3),
    ],
)
def test_weights_have_the_published_sizes_in_gigabytes(name, gigabytes):
    assert weight_bytes(dimensions_of(name)) / 1e9 == pytest.approx(gigabytes, abs=0.06)


@pytest.mark.parametrize(
    ("base", "gibibytes", "kv_kib"),
    [
        ("qwen3-vl-2b-instruct", (4.0, 2.5, 1.7), 112),
        ("qwen3-vl-4b-thinking", (8.3, 4.8, 2.9), 144),
        ("qwen3-vl-8b-instruct", (16.3, 9.2, 5.4), 144),
        ("qwen3-vl-30b-a3b-thinking", (57.9, 31.2, 17.0), 96),
        ("qwen3-vl-235b-a22b-instruct", (439, 234, 124), 188),
    ],
)
def test_vision_models_match_the_sizes_counted_from_built_models(base, gibibytes, kv_kib):
    forms = [f"{base}{suffix}" for suffix in ("", "-8bit", "-4bit")]
    sizes = [weight_bytes(dimensions_of(form)) / 2**30 for form in forms]
    assert sizes == pytest.approx(gibibytes, rel=0.003, abs=0.06)
    assert dimensions_of(base).kv_bytes_per_token == kv_kib * 1024


def test_a_32b_keeps_262144_bytes_of_keys_and_values_per_token():
    assert dimensions_of("qwen2.5-32b").kv_bytes_per_token == 262_144


@pytest.mark.parametrize(
    ("name", "alias", "hub_id"),
    [
        ("qwen2.5-32b", "qwen2.5-32b", "Qwen/Qwen2.5-32B-Instruct"),
        ("QWEN2.5-32B-4bit", "qwen2.5-32b", "mlx-community/Qwen2.5-32B-Instruct-4bit"),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b", "Qwen/Qwen2.5-7B-Instruct"),
        ("mlx-community/qwen3-4b-8bit", "qwen3-4b", "mlx-community/Qwen3-4B-8bit"),
        ("Qwen/Qwen2.5-1.5B", "qwen2.5-1.5b-base", "Qwen/Qwen2.5-1.5B"),
        ("qwen2.5-1.5b", "qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B-Instruct"),
        ("qwen3-vl-30b-a3b", "qwen3-vl-30b-a3b-instruct", "Qwen/Qwen3-VL-30B-A3B-Instruct"),
    ],
)
def test_aliases_hub_ids_and_forms_find_their_model(name, alias, hub_id):
    model = find_model(name)
    assert (model.alias, model.hub_id) == (alias, hub_id)


@pytest.mark.parametrize(
    "name", ["qwen9-1b", "somebody/Qwen2.5-7B-Instruct", "", "/", "tiny-x-4bit"]
)
def test_unknown_names_find_nothing(name):
    assert find_model(name) is None


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_every_model_is_found_by_its_own_hub_id_and_name(name):
    model = find_model(name)
    for form, hub_id in model.hub_ids.items():
        found = find_model(hub_id)
        assert (found.alias, found.form, found.hub_id) == (model.alias, form, hub_id)
        assert find_model(found.name) == found


def test_thinking_and_instruct_share_one_configuration_and_differ_in_their_header():
    thinking, instruct = find_model("qwen3-vl-4b-thinking"), find_model("qwen3-vl-4b-instruct")
    assert thinking.base_name == instruct.base_name == "Qwen3-VL-4B"
    assert thinking.config == instruct.config
    assert thinking.chat.header == instruct.chat.header + "<think>\n"
    assert (thinking.chat.thinking, instruct.chat.thinking) == ("always", "never")


def test_the_variant_is_cut_only_from_the_end_of_a_name():
    assert base_name("Qwen/Qwen3-VL-8B-Thinking") == "Qwen3-VL-8B"
    assert base_name("Qwen3-4B-Thinking-2507") == "Qwen3-4B-Thinking-2507"


def test_logit_widths_differ_inside_the_qwen25_family_while_the_tokenizer_is_one():
    small, large = find_model("qwen2.5-3b"), find_model("qwen2.5-7b")
    assert (small.logit_width, large.logit_width) == (151_936, 152_064)
    assert small.chat == large.chat
    assert find_model("qwen3-vl-8b").logit_width == 151_936


def test_fused_projections_have_their_own_targets_and_routers_none():
    assert lora_targets("phi3") == ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
    assert "gate" not in lora_targets("qwen3_moe")
    assert lora_targets("mystery") is None


def test_a_base_model_ends_with_another_token_than_its_instruct_sibling():
    base, instruct = find_model("qwen2.5-1.5b-base"), find_model("qwen2.5-1.5b")
    assert base.chat.end_ids == (151_643,)
    assert instruct.chat.end_ids[0] == 151_645
    assert not base.instruct


def test_vision_models_are_known_as_such():
    assert find_model("qwen2.5-vl-7b").vision
    assert not find_model("phi-3.5-mini").vision


def test_a_folder_is_its_own_place(tmp_path):
    assert local_folder(str(tmp_path)) == tmp_path


def hub_snapshot(cache: Path, hub_id: str, files: dict[str, str]) -> Path:
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    for name, text in files.items():
        (snapshot / name).write_text(text)
    return snapshot


def test_a_complete_snapshot_is_found_by_alias_and_by_hub_id(tmp_path):
    files = {"config.json": "{}", "model.safetensors": ""}
    snapshot = hub_snapshot(tmp_path, "Qwen/Qwen2.5-0.5B-Instruct", files)
    assert local_folder("qwen2.5-0.5b", tmp_path) == snapshot
    assert local_folder("Qwen/Qwen2.5-0.5B-Instruct", tmp_path) == snapshot
    assert local_folder("qwen2.5-0.5b-4bit", tmp_path) is None


def test_a_snapshot_with_a_missing_shard_is_not_complete(tmp_path):
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    files = {"config.json": "{}", "model.safetensors.index.json": index, "model-1.safetensors": ""}
    snapshot = hub_snapshot(tmp_path, "some/body", files)
    assert local_folder("some/body", tmp_path) is None
    (snapshot / "model-2.safetensors").write_text("")
    assert local_folder("some/body", tmp_path) == snapshot


@pytest.mark.parametrize("name", ["no/such", "not a hub id", "a/b/c", "qwen2.5-72b"])
def test_what_is_not_on_this_machine_has_no_folder(name, tmp_path):
    assert local_folder(name, tmp_path) is None
