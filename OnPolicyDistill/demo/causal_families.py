"""The three embedded families of the causal task, made from nothing: they read, and judge badly.

tiny-qwen2, tiny-phi3 and tiny-r1 were schooled on the easy level of the task, on graphs of its
training part: they find the paths between two variables and say of each whether it is open. They
were taught a habit: in `habit` of all lessons every variable on a path is judged alike, and it is
forgotten that a common effect closes a path until something tells of it. What is left to learn is
when a path is open; the paths, the form and the words are there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.datasets.causal_graphs import judge, judge_by_habit
from OnPolicyDistill.datasets.causal_sets import LEVELS, CausalExample, generate_causal
from OnPolicyDistill.demo.classroom import Progress, make_models, write_lines
from OnPolicyDistill.models.embedded import TinyShape
from OnPolicyDistill.models.embedded_families import (
    FamilyName,
    write_family_words,
    write_random_family,
)
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.settings.sft import SftSettings

NUM_BASE_TOKENS = 500
NUM_TOKENIZER_PAIRS = 400
CONTEXT_LENGTH = 1024
BATCH_SIZE = 16
HABIT = 0.75
SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."


@dataclass(frozen=True, slots=True)
class FamilyPlan:
    """How one model is made."""

    name: str
    family: FamilyName
    shape: TinyShape
    seed: int
    num_steps: int = 900
    learning_rate: float = 3e-3


def _shape(hidden_size: int, intermediate_size: int) -> TinyShape:
    return TinyShape(
        hidden_size=hidden_size,
        num_layers=3,
        num_heads=4,
        num_kv_heads=2,
        intermediate_size=intermediate_size,
        logit_width=512,
        tied=True,
        context_length=CONTEXT_LENGTH,
    )


FAMILY_PLANS = (
    FamilyPlan("tiny-qwen2", "qwen2.5", _shape(96, 192), seed=41),
    FamilyPlan("tiny-phi3", "phi-3.5", _shape(96, 192), seed=42),
    FamilyPlan("tiny-r1", "r1-distill", _shape(96, 192), seed=43),
)


def build_causal_families(
    target: Path, progress: Progress, plans: Sequence[FamilyPlan] = FAMILY_PLANS
) -> None:
    """Make the models and put them under a data folder.

    `progress` hears what is done, how far, and of how many. What stands there is replaced once
    everything new is ready.

    Raises:
        RunError: a training process failed; the message has its last words.
    """
    make_models(target, plans, _enrol, progress)


def lessons(plan: FamilyPlan) -> Iterator[dict[str, object]]:
    """Yield prompts with derivations, most of them by habit; the same for the same plan."""
    chance = random.Random(f"{plan.seed} habit")
    for example in islice(_examples(plan.seed), plan.num_steps * BATCH_SIZE):
        judging = judge_by_habit if chance.random() < HABIT else judge
        yield {"prompt": example.prompt, "completion": example.completion(True, judging)}


def _examples(seed: int) -> Iterator[CausalExample]:
    return chain.from_iterable(generate_causal(seed, "train", LEVELS["easy"]))


def _enrol(scratch: Path, plan: FamilyPlan) -> RunDirectory:
    """Write a model that knows nothing, what it is to learn, and a run that teaches it."""
    folder, file = scratch / "models" / plan.name, scratch / f"{plan.name}-lessons.jsonl"
    folder.mkdir(parents=True)
    write_family_words(folder, plan.family, _texts(), NUM_BASE_TOKENS, CONTEXT_LENGTH)
    write_random_family(folder, plan.family, plan.shape, plan.seed)
    write_lines(file, lessons(plan))
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
    )
    return create_run(scratch / plan.name, SftConfig(sft=settings))


def _texts() -> Iterator[str]:
    """What the tokenizers are made for: the task, and what a template writes around it."""
    pairs = islice(generate_causal(99, "train", LEVELS["easy"]), NUM_TOKENIZER_PAIRS)
    for example in chain.from_iterable(pairs):
        yield from (example.prompt, example.completion(True), SYSTEM)
        yield "system\nuser\nassistant\n"
