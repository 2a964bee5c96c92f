"""Dimensions: one parser for config.json files and registry entries."""

from dataclasses import replace

import pytest

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.dimensions import (
    active_weights,
    dense_layer,
    num_parameters,
    parse_dimensions,
    weight_bytes,
)
from OnPolicyDistill.registry import find_model

TINY = {
    "model_type": "qwen2",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 16,
    "vocab_size": 64,
    "tie_word_embeddings": True,
}


def test_a_tiny_model_is_counted_by_hand():
    attention = 8 * 8 + 8 + 2 * (4 * 8 + 4) + 8 * 8
    layer = attention + 3 * 8 * 16 + 2 * 8
    dimensions = parse_dimensions(TINY, "tiny")
    assert num_parameters(dimensions) == 2 * layer + 8 + 64 * 8
    assert weight_bytes(dimensions) == 2 * num_parameters(dimensions)
    assert dimensions.kv_bytes_per_token == 2 * 2 * 2 * 4


def test_an_untied_head_counts_its_own_weights():
    untied = parse_dimensions({**TINY, "tie_word_embeddings": False}, "tiny")
    assert num_parameters(untied) == num_parameters(parse_dimensions(TINY, "tiny")) + 64 * 8


def test_defaults_follow_the_hugging_face_conventions():
    config = {key: value for key, value in TINY.items() if key != "num_key_value_heads"}
    dimensions = parse_dimensions(config, "tiny")
    assert (dimensions.num_kv_heads, dimensions.head_dim, dimensions.bits) == (2, 4, 16)


def test_an_mlx_quantization_is_read_and_leaves_norms_in_sixteen_bit():
    packed = parse_dimensions({**TINY, "quantization": {"bits": 4, "group_size": 32}}, "tiny")
    vectors = 2 * (2 * 8 + 8 + 2 * 4) + 8
    linear = num_parameters(packed) - vectors
    assert weight_bytes(packed) == linear * 5 // 8 + 2 * vectors


def test_three_billion_of_thirty_are_active_in_the_mixture_of_experts():
    model = find_model("qwen3-30b-a3b-instruct-2507")
    assert active_weights(parse_dimensions(model.config, "moe")) / 1e9 == pytest.approx(
        3.0, abs=0.1
    )


def test_fused_projections_weigh_what_separate_ones_would():
    maps = dense_layer(parse_dimensions(find_model("phi-3.5-mini").config, "phi"))
    shapes = {found.name: (found.outputs, found.inputs) for found in maps}
    assert shapes["qkv_proj"] == (3 * 3072, 3072)
    assert shapes["gate_up_proj"] == (2 * 8192, 3072)


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size"])
@pytest.mark.parametrize("value", [None, 0, -3, 2.5, "many", True])
def test_a_missing_or_senseless_dimension_is_refused_by_name(key, value):
    with pytest.raises(ModelError, match=f"some model.*{key}|{key} is 0"):
        parse_dimensions({**TINY, key: value}, "some model")


def test_a_vision_config_without_a_size_is_refused():
    config = {**TINY, "vision_config": {"model_type": "qwen3_vl", "hidden_size": 4}}
    with pytest.raises(ModelError, match="vision_config has no"):
        parse_dimensions(config, "some model")


def test_gemma_3_is_read_though_its_config_leaves_out_what_all_of_it_have():
    text = {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    }
    tower = {"model_type": "siglip_vision_model", "hidden_size": 1152, "num_hidden_layers": 27}
    published = {"model_type": "gemma3", "text_config": text, "vision_config": tower}
    known = find_model("gemma-3-4b")
    assert parse_dimensions(published, "mine") == replace(
        parse_dimensions(known.config, "gemma-3-4b"), max_positions=0
    )


def test_a_mixture_of_windows_and_experts_has_the_size_of_its_published_files():
    # The small one's published files take 12.8 GiB: experts in four bits, and a byte for each 32.
    for name, gigabytes in (("gpt-oss-20b", 13.76), ("gpt-oss-120b", 65.25)):
        dimensions = parse_dimensions(find_model(name).config, name)
        assert weight_bytes(dimensions) / 1e9 == pytest.approx(gigabytes, abs=0.01)
        assert dimensions.bits == 16


def test_a_model_without_attention_is_read_from_the_keys_that_it_has():
    published = {
        "model_type": "mamba2",
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_heads": 4,
        "head_dim": 4,
        "state_size": 16,
        "vocab_size": 64,
        "tie_word_embeddings": True,
    }
    dimensions = parse_dimensions(published, "tiny")
    assert dimensions.kv_bytes_per_token == 0
    # In and out of a width of 16: (2 * 16 + ...) * 8 + 16 * 8 weights of maps a layer, and more.
    assert num_parameters(dimensions) >= 2 * 3 * 8 * 16 + 64 * 8
    with pytest.raises(ModelError, match="num_attention_heads"):
        parse_dimensions({**published, "model_type": "llama"}, "tiny")
