"""What every program of the race is taught: a pair on disk, prompts, and the same few settings.

Two shapes: the embedded pair on its dates, and random models of hidden size 512 with 8 layers, a
vocabulary of 32,000 and completions of 128 tokens. Both sides read the same safetensors; logits
are cut to the tokenizer's size for all, since TRL asks for equal widths of student and teacher; the
larger shape's tokenizer has all 32,000.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)

import mlx.core as mx  # isort: skip
from pydantic import BaseModel, ConfigDict
from tokenizers import Tokenizer

from benchmarks.pair import random_words
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer

LARGER_VOCABULARY = 32_000
DATA = Path(__file__).parents[2] / "data"
# Of the embedded models, whose logits are wider than their tokenizer and of unequal width.
OUTPUT_WEIGHTS = ("model.embed_tokens.weight", "lm_head.weight")


class Lesson(BaseModel):
    """One race: how much is learned a step, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    rows: int
    max_tokens: int
    num_steps: int
    rank: int
    alpha: int
    learning_rate: float
    warmup_steps: int = 5
    num_threads: int = 2
    seed: int = 0

    def settings(self, folder: Path) -> dict[str, object]:
        """Our settings for it: pure reverse KL at temperature 1, float32, nothing recomputed."""
        return {
            "teacher_model": str(folder / "teacher"),
            "student_model": str(folder / "student"),
            "prompts": str(folder / "train.jsonl"),
            "validation_prompts": str(folder / "validation.jsonl"),
            "num_steps": self.num_steps,
            "batch_size": self.rows,
            "gradient_accumulation_steps": 1,
            "max_generation_tokens": self.max_tokens,
            "temperature": 1.0,
            "kl_weight": 1.0,
            "ce_weight": 0.0,
            "learning_rate": self.learning_rate,
            "schedule": "constant",
            "warmup_steps": self.warmup_steps,
            "max_grad_norm": 1.0,
            "weight_decay": 0.0,
            "mixed_precision": False,
            "grad_checkpoint": False,
            "eval_every": self.num_steps,
            "eval_prompts": 1,
            "checkpoint_every": self.num_steps,
            "lora": {"rank": self.rank, "alpha": self.alpha},
            "seed": self.seed,
        }


EMBEDDED = Lesson(
    name="embedded", rows=32, max_tokens=24, num_steps=30, rank=32, alpha=64, learning_rate=3e-3
)
LARGER = Lesson(
    name="larger", rows=4, max_tokens=128, num_steps=6, rank=16, alpha=32, learning_rate=1e-4
)


def write_lesson(folder: Path, lesson: Lesson) -> None:
    """Write student/, teacher/, train.jsonl, validation.jsonl and lesson.json."""
    folder.mkdir(parents=True)
    if lesson.name == EMBEDDED.name:
        _copy_embedded(folder)
    else:
        _write_larger(folder)
    (folder / "lesson.json").write_text(lesson.model_dump_json(), encoding="utf-8")


def _copy_embedded(folder: Path) -> None:
    for name in ("train", "validation"):
        shutil.copy(DATA / "dates" / f"{name}.jsonl", folder / f"{name}.jsonl")
    for side in ("student", "teacher"):
        model = folder / side
        shutil.copytree(DATA / "models" / f"tiny-{side}", model)
        vocabulary = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
        width = 1 + max(token["id"] for token in vocabulary["added_tokens"])
        cut_logits(model, width)


def cut_logits(model: Path, width: int) -> None:
    """Cut a folder's embedding and output head to so many tokens, in its weights and its config."""
    file = model / "model.safetensors"
    weights = mx.load(str(file))
    assert isinstance(weights, dict)
    cut = {name: rows[:width] if name in OUTPUT_WEIGHTS else rows for name, rows in weights.items()}
    mx.eval(cut)
    mx.save_safetensors(str(file), cut, {"format": "pt"})
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] = width
    (model / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def fill_vocabulary(model: Path, size: int) -> None:
    """Give a tokenizer tokens that no text has, until it has so many: all logits are learned."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    unused = size - tokenizer.get_vocab_size()
    tokenizer.add_tokens([f"<|unused_{number}|>" for number in range(unused)])
    tokenizer.save(str(model / "tokenizer.json"))


def _write_larger(folder: Path) -> None:
    words = random_words()
    for side, size, layers in (("student", 512, 8), ("teacher", 1024, 8)):
        model = folder / side
        model.mkdir()
        write_tokenizer(model, [" ".join(words)], 4096)
        fill_vocabulary(model, LARGER_VOCABULARY)
        shape = TinyShape(
            hidden_size=size,
            num_layers=layers,
            num_heads=8,
            num_kv_heads=2,
            intermediate_size=3 * size,
            logit_width=LARGER_VOCABULARY,
            tied=False,
        )
        write_random_model(model, shape, seed=layers + size)
    for name, start in (("train", 0), ("validation", 2000)):
        lines = [
            json.dumps({"prompt": " ".join(words[start + 16 * i : start + 16 * i + 16])}) + "\n"
            for i in range(64)
        ]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
