"""Whether an adapter exported for PEFT gives in torch what it gives here.

python -m benchmarks.peft_agreement --python PYTHON, where PYTHON has torch, transformers and peft,
none of which this project needs. Tiny random models of three families get an adapter with random A
and B each; logits of base and adapted model are compared, in float32 on both sides. Ends with 1
where a difference is above the tolerance.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.models import llama, phi3, qwen2

from OnPolicyDistill.adapters.card import CardFacts
from OnPolicyDistill.adapters.export import export_peft
from OnPolicyDistill.adapters.files import save_adapter
from OnPolicyDistill.adapters.lora import AttachedAdapter, adapter_layers, attach_adapter
from OnPolicyDistill.models.embedded import initialize
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.settings.training import LoraSettings

# Logits of some units from sums of up to 128 float32 products, in another order, over 3 layers.
TOLERANCE = 1e-4
SHAPE: dict[str, object] = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 320,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "max_position_embeddings": 256,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


@dataclass(frozen=True)
class Case:
    """A family, what of it is adapted, and the settings of its config that are its own."""

    name: str
    family: str
    targets: tuple[str, ...]
    lora: LoraSettings
    own: dict[str, object] = field(default_factory=dict)


ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
DENSE = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
PHI3: dict[str, object] = {"original_max_position_embeddings": 256, "sliding_window": None}
CASES = (
    Case("every layer", "qwen2", DENSE, LoraSettings(rank=4), {"tie_word_embeddings": True}),
    Case("last layer, rank 1", "qwen2", ATTENTION, LoraSettings(rank=1, layers=1, dropout=0.1)),
    Case("last two layers", "llama", ("q_proj", "down_proj"), LoraSettings(rank=3, layers=2)),
    Case("alpha no whole number", "llama", DENSE, LoraSettings(rank=3, alpha=0.7)),
    Case("fused projections", "phi3", ("qkv_proj", "gate_up_proj"), LoraSettings(rank=4), PHI3),
)
BUILDERS: dict[str, Callable[[dict[str, object]], nn.Module]] = {
    "qwen2": lambda config: qwen2.Model(qwen2.ModelArgs.from_dict(config)),
    "llama": lambda config: llama.Model(llama.ModelArgs.from_dict(config)),
    "phi3": lambda config: phi3.Model(phi3.ModelArgs.from_dict(config)),
}


def main() -> int:
    """Compare every case; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="A Python with torch and peft.")
    python = parser.parse_args().python
    if not has_torch(python):
        print(f"{python} has no torch, transformers and peft: nothing was compared.")
        return 0
    worst = max(compare(case, python) for case in CASES)
    print(f"largest difference {worst:.1e}, tolerance {TOLERANCE:.0e}")
    return int(worst > TOLERANCE)


def has_torch(python: str) -> bool:
    """Whether a Python can load what the comparison needs."""
    command = [python, "-c", "import torch, transformers, peft"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def compare(case: Case, python: str) -> float:
    """Write a case's model, adapter and logits; returns the largest difference in torch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        num_modules = write_case(case, folder)
        script = Path(__file__).with_name("peft_in_torch.py")
        done = subprocess.run(
            [python, str(script), name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{case.family}, {case.name}: torch said\n{done.stderr[-2000:]}")
        found = json.loads(done.stdout)
    same = found["num_modules"] == num_modules
    print(
        f"{case.family:<6} {case.name:<24} {found['num_modules']:>3} modules"
        f"{'' if same else f' (here {num_modules})'}, base {found['base']:.1e}, "
        f"adapted {found['adapted']:.1e}, the adapter changes {found['effect']:.2f}"
    )
    return max(found["base"], found["adapted"]) if same else float("inf")


def write_case(case: Case, folder: Path) -> int:
    """Write model, adapter, PEFT's form and logits; returns the number of adapted modules."""
    architecture = f"{case.family.capitalize()}ForCausalLM"
    config = {"model_type": case.family, "architectures": [architecture], **SHAPE, **case.own}
    built = BUILDERS[case.family](config)
    initialize(built, seed=1)
    for part in ("model", "adapter"):
        (folder / part).mkdir()
    save_weights(folder / "model", built)
    (folder / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tokens = mx.random.randint(3, 320, (2, 24), key=mx.random.key(7))
    np.save(folder / "tokens.npy", np.array(tokens))
    np.save(folder / "base.npy", np.array(built(tokens)))
    adapter = trained(built, case)
    np.save(folder / "adapted.npy", np.array(built(tokens)))
    save_adapter(folder / "adapter", built, adapter, "tiny")
    facts = CardFacts(name="tiny", base_model="tiny", method="none")
    export_peft(folder / "adapter", folder / "peft", facts, folder / "model")
    return adapter.num_modules


def trained(model: nn.Module, case: Case) -> AttachedAdapter:
    """Put an adapter on a model whose B is random as well, as after training."""
    adapter = attach_adapter(model, case.lora, case.targets, seed=2)
    for number, layer in enumerate(adapter_layers(model).values()):
        layer.lora_b = 0.1 * mx.random.normal(layer.lora_b.shape, key=mx.random.key(number))
    model.eval()
    return adapter


if __name__ == "__main__":
    sys.exit(main())
