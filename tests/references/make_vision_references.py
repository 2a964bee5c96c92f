"""Makes the numbers that torch's classes give for the tiny models that see, for the tests.

    python -m tests.references.make_vision_references

needs torch and torchvision beside what the project needs. Weights depend on seeds alone, so only
logits are stored, with the config.json that this version of transformers writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import mlx.core as mx
import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)
from OnPolicyDistill.models.vision_config import read_sight
from tests.references.reading import COLUMN_STEP, FILE, NUMBER_STEP, PATCH_SIZES
from tests.seeing_models import (
    FAMILIES,
    REFERENCE_SIZES,
    a_picture,
    as_transformers_stores,
    reference_rows,
    tiny_config,
    write_seeing_model,
)

HERE = Path(__file__).parent
CLASSES = {
    "qwen3_vl": "Qwen3VL",
    "qwen3_vl_moe": "Qwen3VLMoe",
    "qwen2_5_vl": "Qwen2_5_VL",
}


def main() -> None:
    """Write the references beside this file."""
    kept: dict[str, NDArray[np.float32]] = {}
    for family in FAMILIES:
        with TemporaryDirectory() as place:
            folder = write_seeing_model(Path(place) / family, family)
            kept[f"{family}.logits"], written = logits_of(folder, family)
            for number, patches in enumerate(patches_of_processor(folder, family)):
                kept[f"{family}.patches.{number}"] = patches.reshape(-1)[::NUMBER_STEP]
        text = json.dumps(written, indent=1, sort_keys=True)
        (HERE / f"{family}.config.json").write_text(text + "\n", encoding="utf-8")
    np.savez_compressed(FILE, **kept)


def logits_of(folder: Path, family: str) -> tuple[NDArray[np.float32], dict[str, object]]:
    """Logits (B, T, columns) of the reference's rows, and the config.json that is written."""
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    mx.save_safetensors(
        str(folder / "model.safetensors"), as_transformers_stores(weights), {"format": "pt"}
    )
    name = CLASSES[family]
    model = getattr(transformers, f"{name}ForConditionalGeneration").from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    model.eval()
    written = folder / "written"
    model.config.save_pretrained(written)
    processor = a_processor(folder, family)
    sight = read_sight(folder, tiny_config(family))
    pictures = [a_picture(sight, *size, seed=seed) for seed, size in enumerate(REFERENCE_SIZES)]
    config = tiny_config(family)
    pad = int(str(config["image_token_id"]))
    rows = reference_rows(config, [[pad] * picture.num_places for picture in pictures])
    order = [0, 1, 0, 1]
    seen = processor(
        [Image.fromarray(pictures[number].pixels()) for number in order], return_tensors="pt"
    )
    T = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (T - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (T - len(row)) for row in rows])
    with torch.no_grad():
        logits = model(
            input_ids=tokens,
            attention_mask=mask,
            pixel_values=seen["pixel_values"],
            image_grid_thw=seen["image_grid_thw"],
            mm_token_type_ids=(tokens == pad).int(),
        ).logits
    logits = logits * mask[..., None]
    return logits.numpy()[:, :, ::COLUMN_STEP], json.loads((written / "config.json").read_text())


def patches_of_processor(folder: Path, family: str) -> list[NDArray[np.float32]]:
    """Patches of pictures of several sizes."""
    processor = a_processor(folder, family)
    sight = read_sight(folder, tiny_config(family))
    return [
        processor(Image.fromarray(a_picture(sight, *size, seed=9).pixels()), return_tensors="np")[
            "pixel_values"
        ].astype(np.float32)
        for size in PATCH_SIZES
    ]


def a_processor(folder: Path, family: str) -> Qwen2VLImageProcessor:
    """transformers' own, with the settings of the folder."""
    values = json.loads((folder / "preprocessor_config.json").read_text())
    return Qwen2VLImageProcessor(**values)


if __name__ == "__main__":
    main()
