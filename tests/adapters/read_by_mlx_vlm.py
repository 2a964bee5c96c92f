"""Loads adapters and fused folders as mlx-vlm's users do, and prints how far its logits are off."""

import json
import sys
from pathlib import Path

import mlx.core as mx
import mlx_vlm
import numpy as np

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)


def main() -> None:
    errors = {}
    for family, (base, adapter, fused) in json.loads(sys.argv[1]).items():
        kept = np.load(Path(sys.argv[2]) / f"{family}.npz")
        words = mx.array([[1, 2, 3, 4, 5, 6]])
        adapted, _ = mlx_vlm.load(base, adapter_path=adapter)
        whole, _ = mlx_vlm.load(fused)
        of_words = [
            np.abs(np.array(model(words).logits) - kept["words"]).max()
            for model in (adapted, whole)
        ]
        grid = mx.array([[1, 8, 12]])
        logits = whole(mx.array(kept["row"]), mx.array(kept["patches"]), image_grid_thw=grid).logits
        seen = np.abs(np.array(logits) - kept["seen"]).max()
        scale = np.abs(kept["words"]).max()
        errors[family] = [float(each / scale) for each in (*of_words, seen)]
    sys.stdout.write("\n" + json.dumps(errors) + "\n")


main()
