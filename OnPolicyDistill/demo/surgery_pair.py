"""The embedded pair of surgery, made from nothing: one model sees figures, the other reads of them.

tiny-looker is a Qwen2.5-VL that was schooled, tower and all, to say of a picture's figure its
colour, its shape and both sides, which makes it look closely. Its own language model has one layer,
so that the tower has to do the seeing; surgery takes the tower and nothing else. tiny-reader is a
Qwen3 that was schooled to name colour and shape of figures told in words; it has never seen a
picture. It answers with a thought, and without one where the prompt holds an empty thought, which
is how Qwen3's template turns thinking off.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.datasets.squares import Figure, generate_squares, picture_of
from OnPolicyDistill.datasets.squares_told import (
    WORDINGS,
    kind_of,
    plain_answer,
    question,
    seen,
    thinking_answer,
    told,
)
from OnPolicyDistill.demo.classroom import Progress, make_models, write_lines
from OnPolicyDistill.models.embedded import TinyShape
from OnPolicyDistill.models.embedded_graft import (
    LOOKING,
    THINKING,
    TinyTower,
    write_random_looker,
    write_random_reader,
    write_words,
)
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.settings.sft import SftSettings

NUM_LOOKING_TOKENS = 384
NUM_READING_TOKENS = 320
NUM_TOKENIZER_EXAMPLES = 4000
BATCH_SIZE = 32
DESCRIBE = "What is drawn?"
# More thoughts than not: a question announces neither, and with no mark in the prompt the thought
# has to be the likelier beginning. Behind an empty thought only the answer can follow.
PLAIN_SHARE = 0.3
PIXELS = 84 * 84  # six patches of 14 pixels a side: one for a square of the paper

Conversation = dict[str, object]


@dataclass(frozen=True, slots=True)
class GraftPlan:
    """How one model is made: with a tower it looks, without one it reads."""

    name: str
    shape: TinyShape
    seed: int
    num_steps: int
    learning_rate: float
    tower: TinyTower | None = None
    head_size: int = 32


LOOKER = GraftPlan(
    name="tiny-looker",
    shape=TinyShape(
        hidden_size=96,
        num_layers=1,
        num_heads=4,
        num_kv_heads=2,
        intermediate_size=128,
        logit_width=416,
        tied=True,
    ),
    tower=TinyTower(size=64, num_layers=3, num_heads=4, intermediate_size=128, grid=6),
    seed=31,
    num_steps=600,
    learning_rate=3e-3,
)
READER = GraftPlan(
    name="tiny-reader",
    shape=TinyShape(
        hidden_size=80,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        intermediate_size=160,
        logit_width=352,
        tied=True,
    ),
    seed=32,
    num_steps=300,
    learning_rate=3e-3,
)
PAIR = (LOOKER, READER)


def build_surgery_pair(target: Path, progress: Progress, plans: Sequence[GraftPlan] = PAIR) -> None:
    """Make the models and put them under a data folder.

    `progress` hears what is done, how far, and of how many. What stands there is replaced once
    everything new is ready.

    Raises:
        RunError: a training process failed; the message has its last words.
    """
    make_models(target, plans, _enrol, progress)


def looking_lessons(plan: GraftPlan, folder: Path) -> Iterator[Conversation]:
    """Yield pictures with what they show, drawn into a folder; the same for the same plan."""
    for example in islice(generate_squares(plan.seed, "train"), plan.num_steps * BATCH_SIZE):
        yield {
            "images": [picture_of(example, folder)],
            "messages": [
                {"role": "user", "content": DESCRIBE},
                {"role": "assistant", "content": seen(example)},
            ],
        }


def reading_lessons(plan: GraftPlan) -> Iterator[Conversation]:
    """Yield questions about figures in words, a part of them answered without a thought."""
    chance = random.Random(f"{plan.seed} told")
    for figure in islice(_figures(plan.seed), plan.num_steps * BATCH_SIZE):
        asked = f"{told(figure, chance)}\n{question(chance.randrange(len(WORDINGS)))}"
        is_plain = chance.random() < PLAIN_SHARE
        answer = plain_answer(figure) if is_plain else thinking_answer(figure)
        yield {
            "messages": [
                {"role": "user", "content": asked},
                {"role": "assistant", "content": answer},
            ],
        }


def _enrol(scratch: Path, plan: GraftPlan) -> RunDirectory:
    """Write a model that knows nothing, what it is to learn, and a run that teaches it."""
    folder, lessons = scratch / "models" / plan.name, scratch / f"{plan.name}-lessons"
    folder.mkdir(parents=True)
    lessons.mkdir()
    file = lessons / "conversations.jsonl"
    if plan.tower is not None:
        write_words(folder, _looking_texts(), NUM_LOOKING_TOKENS, LOOKING)
        write_random_looker(folder, plan.shape, plan.tower, plan.seed)
        write_lines(file, looking_lessons(plan, lessons))
    else:
        write_words(folder, _reading_texts(), NUM_READING_TOKENS, THINKING)
        write_random_reader(folder, plan.shape, plan.head_size, plan.seed)
        write_lines(file, reading_lessons(plan))
    settings = SftSettings(
        run_name=plan.name,
        model=str(folder),
        conversations=str(file),
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
        checkpoint_every=plan.num_steps,
        seed=plan.seed,
        min_pixels=PIXELS,
        max_pixels=PIXELS,
    )
    return create_run(scratch / plan.name, SftConfig(sft=settings))


def _looking_texts() -> Iterator[str]:
    """What the looker's tokenizer is made for: the drawn task with its figures in words."""
    chance = random.Random("tokenizer")
    for example in islice(generate_squares(99, "train"), NUM_TOKENIZER_EXAMPLES):
        figure = example.figure
        assert figure is not None
        parts = [kind_of(figure), f"{figure.width} wide", f"{figure.height} high"]
        yield f"{', '.join(chance.sample(parts, len(parts)))}\n{example.prompt} /no_think"
        yield from (example.completion, DESCRIBE)
    yield from _roles()


def _reading_texts() -> Iterator[str]:
    """What the reader's tokenizer is made for."""
    chance = random.Random("tokenizer")
    for number, figure in enumerate(islice(_figures(99), NUM_TOKENIZER_EXAMPLES)):
        yield f"{told(figure, chance)}\n{question(number)}"
        yield from (thinking_answer(figure), DESCRIBE, f"A {kind_of(figure)}.")
    yield from _roles()


def _roles() -> list[str]:
    return ["system\n", "user\n", "assistant\n"] * (NUM_TOKENIZER_EXAMPLES // 2)


def _figures(seed: int) -> Iterator[Figure]:
    """Figures to learn from without end, the same for the same seed."""
    for example in generate_squares(seed, "train"):
        assert example.figure is not None
        yield example.figure
