"""What is wrong with a model's folder, from everything in it but the numbers of its weights.

The check asks before a run, and the loaders ask the same before they read a weight: what one
refuses, the other does. Weights are compared with the config by name and shape where the family's
layers are known; a family that is not known says so while it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.tokenizer_files import TokenizerFiles, load_tokenizer_files
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.dimensions import (
    FUSED_TYPES,
    Dimensions,
    decoder_layers,
    parse_dimensions,
)
from OnPolicyDistill.planning.models import read_config
from OnPolicyDistill.planning.weights import StoredTensor, read_header, stored_files

# Their layers are named in files as mlx-lm names its modules.
PLAIN_FAMILIES = ("llama", "mistral", "qwen2", "qwen3", *FUSED_TYPES)
EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
NEW_COPY = "Download the model again; config, tokenizer and weights must be of one model."


def refuse_unusable_folder(folder: Path) -> TokenizerFiles:
    """Refuse a folder that no run could use; returns its tokenizer.

    Raises:
        ModelError: a file is missing, damaged, or does not go with the others; names it.
    """
    config = read_config(folder)
    files = load_tokenizer_files(folder)
    tensors = read_all_headers(folder)
    template = ChatTemplate.load(folder)
    refuse_endless(files)
    rows = embedding_rows(config, tensors)
    if rows is not None:
        refuse_tokens_without_rows(files, rows, template)
    if config.get("model_type") in PLAIN_FAMILIES and "quantization" not in config:
        dimensions = parse_dimensions(config, str(folder))
        for problem in misfits(dimensions, tensors):
            message = f"The weights in {folder} do not fit its config.json: {problem}."
            raise ModelError(message, NEW_COPY)
    return files


def read_all_headers(folder: Path) -> dict[str, StoredTensor]:
    """Tensors by name of a model's weight files, all of them there and whole.

    Raises:
        ModelError: a file is missing, cut short or damaged.
    """
    return {
        name: tensor for file in stored_files(folder) for name, tensor in read_header(file).items()
    }


def refuse_endless(files: TokenizerFiles) -> None:
    """Refuse a folder that names no token at which completions end.

    Raises:
        ModelError: it names none.
    """
    if not files.end_ids:
        raise ModelError(
            f"{files.folder} names no end-of-sequence token.",
            "Add eos_token_id to its generation_config.json.",
        )


def embedding_rows(config: Mapping[str, object], tensors: Mapping[str, StoredTensor]) -> int | None:
    """How many tokens a model has embeddings of; None where nothing says it.

    Packed weights keep their rows; only their columns shrink.
    """
    stored = next((t for name, t in tensors.items() if name.endswith("embed_tokens.weight")), None)
    if stored is not None and len(stored.shape) == 2:
        return stored.shape[0]
    nested = config.get("text_config")
    text = nested if isinstance(nested, dict) else config
    size = text.get("vocab_size")
    return size if isinstance(size, int) else None


def refuse_tokens_without_rows(files: TokenizerFiles, rows: int, template: ChatTemplate) -> None:
    """Refuse a tokenizer whose end or template tokens have no row in the embedding.

    Others beyond it are left: some models ship a token that they never use (Gemma 3's for
    pictures), and a text that has one is refused where it is encoded.

    Raises:
        ModelError: the tokenizer was extended and the model was not.
    """
    beyond = {number for number in files.strings if number >= rows}
    if not beyond:
        return
    written = beyond & {*files.end_ids, *files.encode(template.opening())}
    if written or len(beyond) > rows // 100:
        token = min(written or beyond)
        raise ModelError(
            f"The tokenizer in {files.folder} has {len(beyond)} tokens without a row in the "
            f"embedding, which has {rows:,}: the first is {files.strings[token]} ({token}).",
            "Take the tokenizer that belongs to the weights, or enlarge the embedding "
            "(resize_token_embeddings) and save the model again.",
        )


def misfits(dimensions: Dimensions, tensors: Mapping[str, StoredTensor]) -> Iterator[str]:
    """Say which tensors are missing, of another shape, or of a layer that there is not."""
    for name, shape in expected_shapes(dimensions).items():
        if name not in tensors:
            yield f"{name} is missing"
        elif tensors[name].shape != shape:
            yield f"{name} has the shape {tensors[name].shape}, and {shape} is needed"
    behind = f"model.layers.{dimensions.num_layers}."
    if any(name.startswith(behind) for name in tensors):
        yield f"there are more layers than the {dimensions.num_layers} it names"


def expected_shapes(dimensions: Dimensions) -> dict[str, tuple[int, ...]]:
    """The matrices of a dense model of a plain family by name, and its last norm."""
    d = dimensions
    expected = {EMBEDDING: (d.logit_width, d.hidden_size), "model.norm.weight": (d.hidden_size,)}
    if not d.tied:
        expected[HEAD] = (d.logit_width, d.hidden_size)
    for number, layer in enumerate(decoder_layers(d)):
        for each in layer:
            expected[f"model.layers.{number}.{each.path}.weight"] = (each.outputs, each.inputs)
    return expected
