"""A random student and teacher on disk, and runs of on-policy distillation between them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import StepFinished
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.trainers.on_policy import train

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro")
NUM_WORDS = 4000


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of a measurement: of both models, and of the work."""

    student_size: int
    teacher_size: int
    student_layers: int
    teacher_layers: int
    vocab_size: int
    max_tokens: int
    num_prompts: int
    num_steps: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Folders of a student, its teacher and their prompts."""

    root: Path
    scale: Scale

    def run(self, seed: int, fixed_rollouts: bool = False) -> tuple[StepFinished, ...]:
        """Train and return what every step measured."""
        values: dict[str, object] = {
            "teacher_model": str(self.root / "teacher"),
            "student_model": str(self.root / "student"),
            "prompts": str(self.root / "prompts.jsonl"),
            "validation_prompts": str(self.root / "validation.jsonl"),
            "num_steps": self.scale.num_steps,
            "batch_size": 4,
            "gradient_accumulation_steps": 1,
            "max_generation_tokens": self.scale.max_tokens,
            "fixed_rollouts": fixed_rollouts,
            "eval_every": self.scale.num_steps,
            "eval_prompts": 1,
            "checkpoint_every": self.scale.num_steps,
            "seed": seed,
        }
        run = create_run(self.root, parse_config({"distillation": values}))
        train(run)
        return fold(read_events(run.events_file)).steps


def write_pair(root: Path, scale: Scale) -> Pair:
    """Write both models with one tokenizer, and prompts that differ from each other."""
    words = random_words()
    for name, size, layers in (
        ("student", scale.student_size, scale.student_layers),
        ("teacher", scale.teacher_size, scale.teacher_layers),
    ):
        folder = root / name
        folder.mkdir()
        write_tokenizer(folder, [" ".join(words)], scale.vocab_size)
        shape = TinyShape(
            hidden_size=size,
            num_layers=layers,
            num_heads=4,
            num_kv_heads=2,
            intermediate_size=4 * size,
            logit_width=scale.vocab_size + 128,
            tied=True,
        )
        write_random_model(folder, shape, seed=layers)
    prompts = [" ".join(words[8 * i : 8 * i + 8]) for i in range(scale.num_prompts)]
    for name, chosen in (("prompts", prompts), ("validation", prompts[:1])):
        lines = [json.dumps({"prompt": prompt}) + "\n" for prompt in chosen]
        (root / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return Pair(root, scale)


def random_words() -> list[str]:
    """Words of random syllables, always the same; a tokenizer finds thousands of tokens in them."""
    numbers = random.Random(0)
    return ["".join(numbers.choices(SYLLABLES, k=numbers.randint(2, 5))) for _ in range(NUM_WORDS)]
