import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.runs.directory import RunDirectory, create_run

TEXTS = ["the third of March 1998, half past six", "1998-03-03 18:30", "user assistant system"] * 2
SHAPE = TinyShape(
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    intermediate_size=64,
    logit_width=320,
    tied=True,
)


def write_weights(folder: Path, change: Callable[[str, mx.array], mx.array]) -> None:
    file = folder / "model.safetensors"
    weights = mx.load(str(file))
    assert isinstance(weights, dict)
    changed = {name: change(name, weight) for name, weight in weights.items()}
    mx.eval(changed)
    mx.save_safetensors(str(file), changed, {"format": "mlx"})


def sharpen(name: str, weight: mx.array) -> mx.array:
    """Embeddings ten times as large, or every distribution would be nearly uniform."""
    return weight * 10 if "embed_tokens" in name else weight


def bend(name: str, weight: mx.array) -> mx.array:
    """A rank-2 change of every linear layer, which an adapter of that rank can learn."""
    if weight.ndim != 2 or "embed_tokens" in name:
        return weight
    left, right = mx.random.split(mx.random.key(sum(map(ord, name))))
    rows, columns = weight.shape
    change = mx.random.normal((rows, 2), key=left) @ mx.random.normal((2, columns), key=right)
    return weight + 0.15 * change / columns**0.5


@dataclass(frozen=True)
class Classroom:
    """A student, a teacher it can become, prompts, and a place for runs."""

    root: Path

    def create(self, **settings: object) -> RunDirectory:
        values = {
            "teacher_model": str(self.root / "teacher"),
            "student_model": str(self.root / "student"),
            "prompts": str(self.root / "prompts.jsonl"),
            "validation_prompts": str(self.root / "validation.jsonl"),
            "num_steps": 6,
            "batch_size": 4,
            "gradient_accumulation_steps": 1,
            "learning_rate": 0.01,
            "max_generation_tokens": 8,
            "eval_every": 3,
            "checkpoint_every": 2,
            "lora": {"rank": 4, "alpha": 8},
            "grad_checkpoint": False,
            **settings,
        }
        return create_run(self.root, parse_config({"distillation": values}))


@pytest.fixture(scope="session")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("school")
    student = root / "student"
    student.mkdir()
    write_tokenizer(student, TEXTS, 280)
    write_random_model(student, SHAPE, 0)
    write_weights(student, sharpen)
    shutil.copytree(student, root / "teacher")
    write_weights(root / "teacher", bend)
    write_prompts(root / "prompts.jsonl", [f"the {i} of March" for i in range(10)])
    write_prompts(root / "validation.jsonl", [f"half past {i}" for i in range(6)])
    return root


@pytest.fixture
def classroom(school: Path, tmp_path: Path) -> Classroom:
    for name in ("student", "teacher"):
        (tmp_path / name).symlink_to(school / name)
    for name in ("prompts.jsonl", "validation.jsonl"):
        shutil.copy(school / name, tmp_path / name)
    return Classroom(tmp_path)


def write_prompts(file: Path, prompts: list[str]) -> None:
    file.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
