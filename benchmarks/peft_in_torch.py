"""The other side of peft_agreement.py: the same model and adapter in torch, by PEFT.

Runs by itself in a Python that has torch, transformers and peft, and knows nothing of this project:
python peft_in_torch.py FOLDER. Prints one JSON object: the largest differences of logits from those
in FOLDER/base.npy and FOLDER/adapted.npy, and what PEFT adapted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


def main() -> None:
    """Compare logits of the base model and of the model with its adapter."""
    folder = Path(sys.argv[1])
    tokens = torch.from_numpy(np.load(folder / "tokens.npy").astype(np.int64))
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    with torch.no_grad():
        plain = base(tokens).logits.numpy()
        model = PeftModel.from_pretrained(base, str(folder / "peft")).eval()
        adapted = model(tokens).logits.numpy()
    names = {name for name, module in model.named_modules() if hasattr(module, "lora_A")}
    ours = np.load(folder / "adapted.npy")
    sys.stdout.write(
        json.dumps(
            {
                "base": float(np.abs(plain - np.load(folder / "base.npy")).max()),
                "adapted": float(np.abs(adapted - ours).max()),
                "effect": float(np.abs(adapted - plain).max()),
                "num_modules": len(names),
            }
        )
    )


if __name__ == "__main__":
    main()
