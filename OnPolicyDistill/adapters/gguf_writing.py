"""A fused Qwen model as one GGUF file, tensor by tensor, in llama.cpp's layout.

Names, keys and types follow llama.cpp's convert_hf_to_gguf.py for the architectures qwen2 and
qwen3: projections, embedding and head in the chosen type, norms and biases in float32. Rows that
do not divide into blocks of 32 are stored as f16 where q8_0 is asked for. What differs: where the
config names no rotary base, mlx-lm's default is written, which is the one it was trained with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np
from mlx_lm.models import qwen2, qwen3

from OnPolicyDistill.adapters.forms import GgufType
from OnPolicyDistill.adapters.fuse import Progress
from OnPolicyDistill.adapters.gguf_vocabulary import read_vocabulary
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.planning.weights import stored_files
from OnPolicyDistill.stopping import check_stop

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter, TensorNameMap

ARGUMENTS: dict[str, type[qwen2.ModelArgs | qwen3.ModelArgs]] = {
    "qwen2": qwen2.ModelArgs,
    "qwen3": qwen3.ModelArgs,
}
BLOCK = 32  # weights that share a scale in q8_0


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a tensor of the folder goes: its name in the file, its shape, and how it is stored."""

    source: str
    name: str
    shape: tuple[int, ...]
    stored: GGMLQuantizationType


def gguf_file(stored: GgufType) -> str:
    """What the file is called."""
    return f"model-{stored}.gguf"


def write_gguf(folder: Path, file: Path, stored: GgufType, name: str, progress: Progress) -> None:
    """Write a folder of unpacked weights of a family in OWN_FAMILIES as one file.

    One tensor at a time is in memory. `name` is the model's, for people.

    Raises:
        ModelError: the folder's tokenizer cannot be written, or its weights are not all there.
    """
    import gguf  # noqa: PLC0415  (an extra)

    config = read_json(folder / "config.json")
    family = str(config["model_type"])
    tensors = stored_tensors(folder)
    plans = plan_tensors(config, {key: array.shape for key, array in tensors.items()}, stored)
    writer = gguf.GGUFWriter(str(file), family)
    try:
        for plan in plans:
            size = int(np.prod(plan.shape)) // gguf.GGML_QUANT_SIZES[plan.stored][0]
            num_bytes = size * gguf.GGML_QUANT_SIZES[plan.stored][1]
            # Shape and type are given as they are: nothing is derived from the array's type.
            kind = np.dtype(np.float32)
            writer.add_tensor_info(plan.name, plan.shape, kind, num_bytes, plan.stored)
        describe(writer, config, stored, name)
        add_vocabulary(writer, folder, int(str(config["vocab_size"])))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, plan in enumerate(plans, start=1):
            check_stop()
            # Taken out: what was read is not needed again.
            values = np.array(tensors.pop(plan.source).astype(mx.float32))
            writer.write_tensor_data(gguf.quants.quantize(values, plan.stored))
            progress("converting tensors", done, len(plans))
    finally:
        writer.close()


def name_map(config: Mapping[str, object]) -> TensorNameMap:
    """The gguf package's names for the tensors of a family in OWN_FAMILIES."""
    import gguf  # noqa: PLC0415

    architecture = gguf.MODEL_ARCH[str(config["model_type"]).upper()]
    return gguf.get_tensor_name_map(architecture, int(str(config["num_hidden_layers"])))


def plan_tensors(
    config: Mapping[str, object], shapes: Mapping[str, tuple[int, ...]], stored: GgufType
) -> list[Plan]:
    """Where each tensor goes, in the order of the folder's names."""
    import gguf  # noqa: PLC0415

    names, plans = name_map(config), []
    for source, shape in shapes.items():
        name = names.get_name(source, try_suffixes=(".weight", ".bias"))
        assert name is not None, f"the family has no place for {source}"
        kind = gguf.GGMLQuantizationType[stored.upper()]
        if len(shape) < 2:
            kind = gguf.GGMLQuantizationType.F32
        elif stored == "q8_0" and shape[-1] % BLOCK:
            kind = gguf.GGMLQuantizationType.F16
        plans.append(Plan(source, name, tuple(shape), kind))
    return plans


def describe(writer: GGUFWriter, config: Mapping[str, object], stored: GgufType, name: str) -> None:
    """Write what the file says of the model: its sizes, its positions, its type."""
    import gguf  # noqa: PLC0415

    family = str(config["model_type"])
    sizes = ARGUMENTS[family].from_dict(dict(config))  # type: ignore[no-untyped-call]
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_size_label(gguf.size_label(*writer.get_total_parameter_count()))
    writer.add_block_count(sizes.num_hidden_layers)
    writer.add_context_length(sizes.max_position_embeddings)
    writer.add_embedding_length(sizes.hidden_size)
    writer.add_feed_forward_length(sizes.intermediate_size)
    writer.add_head_count(sizes.num_attention_heads)
    writer.add_head_count_kv(sizes.num_key_value_heads)
    _describe_positions(writer, config)
    writer.add_rope_freq_base(sizes.rope_theta)
    writer.add_layer_norm_rms_eps(sizes.rms_norm_eps)
    if "head_dim" in config:
        head_size = int(str(config["head_dim"]))
        writer.add_key_length(head_size)
        writer.add_value_length(head_size)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{stored.upper()}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _describe_positions(writer: GGUFWriter, config: Mapping[str, object]) -> None:
    """Write how positions are stretched, where they are (gguf_support.ROPE_TYPES)."""
    import gguf  # noqa: PLC0415

    rope = config.get("rope_parameters") or config.get("rope_scaling")
    if not isinstance(rope, dict) or "factor" not in rope:
        return
    kind = rope.get("rope_type", rope.get("type"))
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        writer.add_rope_scaling_orig_ctx_len(int(rope["original_max_position_embeddings"]))


def add_vocabulary(writer: GGUFWriter, folder: Path, num_rows: int) -> None:
    """Write tokens, merges, special ids and the chat template of a model folder.

    Raises:
        ModelError: the tokenizer cannot be written.
    """
    import gguf  # noqa: PLC0415

    vocabulary = read_vocabulary(folder, num_rows)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.split)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.types))
    special = gguf.SpecialVocab(folder, load_merges=True, n_vocab=num_rows)
    special.add_to_gguf(writer, quiet=True)


def stored_tensors(folder: Path) -> dict[str, mx.array]:
    """A folder's tensors by name, each read when it is evaluated.

    Raises:
        ModelError: a file is missing or damaged.
    """
    return dict(_stored(folder))


def _stored(folder: Path) -> Iterator[tuple[str, mx.array]]:
    for file in stored_files(folder):
        loaded = mx.load(str(file))
        assert isinstance(loaded, dict)
        yield from loaded.items()
