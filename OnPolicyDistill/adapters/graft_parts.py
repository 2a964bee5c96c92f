"""What a grafted model is put together from: tensors found in the files of two models.

Of the vision checkpoint only the headers and the tensors of tower and merger are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx
import numpy as np

from OnPolicyDistill.adapters.graft_sources import (
    TOWER_NAME,
    is_of_tower,
    language_settings,
    preprocessor_settings,
    refuse_without_switch,
    vision_settings,
    vision_tokens,
)
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.grafted import (
    LANGUAGE,
    PROJECTOR,
    TOWER,
    GraftConfig,
    Kind,
    read_config,
)
from OnPolicyDistill.models.tensor_files import MadeTensor, StoredTensor, Tensor, find_tensors
from OnPolicyDistill.models.vision_config import sight_of
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.pictures import Sight
from OnPolicyDistill.planning.weights import stored_files

PATCHES = f"{TOWER}.patch_embed.proj.weight"
LAST_MAP = f"{TOWER}.merger.mlp.2"
# Buffers that old checkpoints hold and no model reads.
UNREAD_ENDINGS = ("position_ids", "inv_freq")
UNTRAINED = "Its projector is fresh and says nothing of a picture: train it first (opd train)."
WORDS = {"BF16": np.uint16, "F16": np.uint16, "F32": np.uint32}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a grafted model is put together from, all but the projector.

    `tensors` have the names that they will have. `settings` is the folder with tokenizer and
    template; `tokens` are ids of config.json; `preprocessor` says how pictures are read. `vision`
    and `language` are what people call the two models; `training` is a sentence on the projector.
    """

    config: GraftConfig
    tensors: Mapping[str, Tensor]
    settings: Path
    tokens: Mapping[str, object]
    preprocessor: Mapping[str, object]
    vision: str
    language: str
    training: str = UNTRAINED

    @property
    def sight(self) -> Sight:
        """How pictures are read."""
        return sight_of(self.preprocessor, self.config.vision, self.settings)

    def with_limits(self, min_pixels: int, max_pixels: int) -> Parts:
        """The same parts, whose pictures have so many pixels."""
        rest = {key: value for key, value in self.preprocessor.items() if key != "size"}
        limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
        return replace(self, preprocessor={**rest, **limits})


def parts_of_models(vision: Path, language: Path, names: tuple[str, str], kind: Kind) -> Parts:
    """Find the parts of a new graft; of the weights only headers are read.

    Raises:
        ModelError: one of the folders cannot be what it is given as, or is damaged.
    """
    text = language_settings(language)
    stored_files(language)
    refuse_without_switch(language)
    packed = text.get("quantization")
    config = GraftConfig(
        vision_settings(vision), text, kind, packed if isinstance(packed, dict) else None
    )
    vocab_rows = text.get("vocab_size")
    tokens = vision_tokens(language, vocab_rows if isinstance(vocab_rows, int) else 0)
    ends = {"eos_token_id": text["eos_token_id"]} if "eos_token_id" in text else {}
    return Parts(
        config=config,
        tensors={**_tower_tensors(vision), **_language_tensors(language, text)},
        settings=language,
        tokens={**tokens, **ends},
        preprocessor=preprocessor_settings(vision),
        vision=names[0],
        language=names[1],
    )


def parts_of_grafted(folder: Path) -> tuple[Parts, dict[str, StoredTensor]]:
    """The parts of a grafted folder, and its projector's tensors beside them.

    Raises:
        ModelError: it is no grafted folder, or is damaged.
    """
    config = read_config(folder)
    stored_files(folder)
    found = find_tensors(folder, lambda _name: True)
    values = read_json(folder / "config.json")
    sources = values.get("grafted_from")
    named = sources if isinstance(sources, dict) else {}
    parts = Parts(
        config=config,
        tensors={n: t for n, t in found.items() if not n.startswith(f"{PROJECTOR}.")},
        settings=folder,
        tokens={key: value for key, value in values.items() if key.endswith("token_id")},
        preprocessor=preprocessor_settings(folder),
        vision=str(named.get("vision", "a Qwen2.5-VL")),
        language=str(named.get("language", "a Qwen3")),
        training=str(named.get("training", UNTRAINED)),
    )
    return parts, {n: t for n, t in found.items() if n.startswith(f"{PROJECTOR}.")}


def _tower_tensors(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, tensor in find_tensors(folder, is_of_tower).items():
        match = TOWER_NAME.fullmatch(name)
        if match is not None and not name.endswith(UNREAD_ENDINGS):
            found[f"{TOWER}.{match.group(1)}"] = tensor
    if f"{LAST_MAP}.scales" in found or f"{TOWER}.blocks.0.attn.qkv.scales" in found:
        raise ModelError(
            f"The tower in {folder} is quantized.", "Give the bf16 form of the vision model."
        )
    if PATCHES not in found:
        raise ModelError(
            f"{folder} holds no weights of a vision tower.", "Download the model again."
        )
    patches = found[PATCHES]
    assert isinstance(patches, StoredTensor)
    return {**found, PATCHES: _channels_last(patches)}


def _channels_last(tensor: StoredTensor) -> Tensor:
    """The kernel over patches as MLX wants it; torch has the channels before time and space."""
    outputs, second, *_, last = tensor.shape
    if last == 3 and second != 3:
        return tensor
    words = np.frombuffer(tensor.read(), WORDS[tensor.dtype]).reshape(outputs, *tensor.shape[1:])
    turned = np.ascontiguousarray(words.transpose(0, 2, 3, 4, 1))
    return MadeTensor(tensor.dtype, turned.shape, turned.tobytes())


def _language_tensors(folder: Path, text: Mapping[str, object]) -> dict[str, Tensor]:
    is_tied = text.get("tie_word_embeddings") is True
    found = find_tensors(folder, lambda name: not (is_tied and name.startswith("lm_head.")))
    return {f"{LANGUAGE}.{name}": tensor for name, tensor in found.items()}


def array_of(tensor: Tensor, opened: dict[Path, dict[str, mx.array]]) -> mx.array:
    """A tensor for MLX, read from its file only when it is evaluated."""
    if isinstance(tensor, StoredTensor):
        if tensor.file not in opened:
            loaded = mx.load(str(tensor.file))
            assert isinstance(loaded, dict)
            opened[tensor.file] = loaded
        return opened[tensor.file][tensor.name]
    words = np.frombuffer(tensor.data, WORDS[tensor.dtype]).reshape(tensor.shape)
    types = {"BF16": mx.bfloat16, "F16": mx.float16, "F32": mx.float32}
    return mx.array(words).view(types[tensor.dtype])
