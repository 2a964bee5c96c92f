"""Writes a tiny model whose tokenizer is not the embedded pair's into the folder named."""

import sys
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401 (OpenBLAS must be there before MLX)
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer

folder = Path(sys.argv[1])
folder.mkdir(parents=True)
texts = ["Wer fremd ist, spricht andere Worte.", "Kein Satz gleicht dem anderen."] * 40
write_tokenizer(folder, texts, num_base_tokens=300)
shape = TinyShape(
    hidden_size=32,
    num_layers=1,
    num_heads=2,
    num_kv_heads=1,
    intermediate_size=64,
    logit_width=320,
    tied=True,
)
write_random_model(folder, shape, seed=1)
