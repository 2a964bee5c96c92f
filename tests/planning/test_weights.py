"""Safetensors headers: exact bytes, and damage said in words."""

import json
import struct

import pytest

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.weights import read_weights


def write_safetensors(file, sizes, cut=0):
    header, start = {}, 0
    for name, size in sizes.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header).encode()
    file.write_bytes((struct.pack("<Q", len(text)) + text + bytes(start))[: -cut or None])


def test_tensors_of_all_shards_are_added_up(tmp_path):
    first = {"model.embed_tokens.weight": 100, "model.layers.0.mlp.up_proj.weight": 40}
    write_safetensors(tmp_path / "model-00001-of-00002.safetensors", first)
    write_safetensors(tmp_path / "model-00002-of-00002.safetensors", {"lm_head.weight": 7})
    write_safetensors(tmp_path / "adapters.safetensors", {"lora_a": 1000})
    weights = read_weights(tmp_path)
    assert (weights.total_bytes, weights.embedding_bytes, weights.head_bytes) == (147, 100, 7)


def test_the_stored_head_of_a_tied_model_is_not_loaded(tmp_path):
    write_safetensors(
        tmp_path / "model.safetensors", {"embed_tokens.weight": 9, "lm_head.weight": 9}
    )
    weights = read_weights(tmp_path)
    assert (weights.loaded_bytes(tied=True), weights.loaded_bytes(tied=False)) == (9, 18)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no safetensors files"):
        read_weights(tmp_path)


def test_a_file_cut_short_is_refused_and_named(tmp_path):
    write_safetensors(tmp_path / "model.safetensors", {"a.weight": 50}, cut=3)
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged \(it is cut short\)"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        struct.pack("<Q", 2**60),
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 9) + b'{"a": {}}',
        struct.pack("<Q", 3) + b"{{{",
    ],
)
def test_a_damaged_header_is_refused(content, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="is damaged"):
        read_weights(tmp_path)
