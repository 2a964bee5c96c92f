"""The embedded vision pair, made from nothing: both see figures, and one computes badly with them.

Pictures, questions and completions are those of datasets/squares.py. The teacher is schooled on
right completions. The student sees as the teacher does and was schooled with a habit: it mostly
forgets to double a perimeter and to halve a triangle. Mostly, not always, because on-policy
distillation sharpens what a student does sometimes. It would not help a student that cannot see,
whose tower is frozen.

Both learn with every weight, the tower's included, and are stored in 16 bits, as published models
are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.datasets.squares import CELL_PIXELS, CELLS, generate_squares, picture_of
from OnPolicyDistill.demo.classroom import Progress, make_models, write_lines
from OnPolicyDistill.models.embedded_vision import (
    TinyVisionShape,
    write_random_vision_model,
    write_vision_tokenizer,
)
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.settings.sft import SftSettings

NUM_BASE_TOKENS = 384
NUM_TOKENIZER_EXAMPLES = 4000
BATCH_SIZE = 32
SHEET_PIXELS = (CELLS * CELL_PIXELS) ** 2

Conversation = dict[str, object]


@dataclass(frozen=True, slots=True)
class SeeingPlan:
    """How one model is made; `habit` is the share of completions without doubling and halving."""

    name: str
    shape: TinyVisionShape
    seed: int
    habit: float
    num_steps: int
    learning_rate: float


TEACHER = SeeingPlan(
    name="tiny-vl-teacher",
    shape=TinyVisionShape(
        hidden_size=128,
        num_layers=4,
        num_heads=4,
        num_kv_heads=2,
        head_size=32,
        intermediate_size=256,
        logit_width=448,
        tower_size=96,
        tower_layers=3,
        tower_heads=4,
        tower_intermediate_size=192,
        levels=(0,),
        grid=6,
    ),
    seed=21,
    habit=0.0,
    num_steps=800,
    learning_rate=3e-3,
)
STUDENT = SeeingPlan(
    name="tiny-vl-student",
    shape=TinyVisionShape(
        hidden_size=96,
        num_layers=3,
        num_heads=4,
        num_kv_heads=2,
        head_size=32,
        intermediate_size=192,
        logit_width=416,
        tower_size=96,
        tower_layers=3,
        tower_heads=4,
        tower_intermediate_size=192,
        levels=(0,),
        grid=6,
    ),
    seed=22,
    habit=0.85,
    num_steps=800,
    learning_rate=3e-3,
)
PAIR = (TEACHER, STUDENT)


def build_squares_pair(
    target: Path, progress: Progress, plans: Sequence[SeeingPlan] = PAIR
) -> None:
    """Make the models and put them under a data folder.

    `progress` hears what is done, how far, and of how many. What stands there is replaced once
    everything new is ready.

    Raises:
        RunError: a training process failed; the message has its last words.
    """
    make_models(target, plans, enrol, progress)


def conversations(plan: SeeingPlan, folder: Path) -> Iterator[Conversation]:
    """Yield what a model is schooled on, and draw its pictures into a folder.

    The same plan gives the same conversations.
    """
    habit = random.Random(f"{plan.seed} habit")
    for example in islice(generate_squares(plan.seed, "train"), plan.num_steps * BATCH_SIZE):
        is_habitual = habit.random() < plan.habit
        thought = example.habitual_completion if is_habitual else example.completion
        yield {
            "images": [picture_of(example, folder)],
            "messages": [
                {"role": "user", "content": example.prompt},
                {"role": "assistant", "content": f"<think>\n{thought}"},
            ],
        }


def enrol(scratch: Path, plan: SeeingPlan) -> RunDirectory:
    """Write a model that knows nothing, what it is to learn, and a run that teaches it."""
    folder = scratch / "models" / plan.name
    folder.mkdir(parents=True)
    write_vision_tokenizer(folder, _texts(), NUM_BASE_TOKENS)
    write_random_vision_model(folder, plan.shape, plan.seed)
    lessons = scratch / f"{plan.name}-lessons"
    lessons.mkdir()
    write_lines(lessons / "conversations.jsonl", conversations(plan, lessons))
    settings = SftSettings(
        run_name=plan.name,
        model=str(folder),
        conversations=str(lessons / "conversations.jsonl"),
        lora=None,
        num_steps=plan.num_steps,
        batch_size=BATCH_SIZE,
        gradient_accumulation_steps=1,
        learning_rate=plan.learning_rate,
        schedule="cosine",
        schedule_min_ratio=0.02,
        warmup_steps=min(40, plan.num_steps // 5),
        weight_decay=0.01,
        mixed_precision=False,
        grad_checkpoint=False,
        # As they are drawn, one patch a square; the default would enlarge them.
        min_pixels=SHEET_PIXELS,
        max_pixels=SHEET_PIXELS,
        checkpoint_every=plan.num_steps,
        seed=plan.seed,
    )
    return create_run(scratch / plan.name, SftConfig(sft=settings))


def _texts() -> Iterator[str]:
    """What the tokenizer is made for: the same for both models."""
    for example in islice(generate_squares(99, "train"), NUM_TOKENIZER_EXAMPLES):
        yield from (example.prompt, example.completion, example.habitual_completion)
    yield from ["system\n", "user\n", "assistant\n"] * (NUM_TOKENIZER_EXAMPLES // 2)
