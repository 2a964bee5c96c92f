"""The embedded pair, made from nothing: data, tokenizer, teacher and student.

The teacher is schooled on right answers, of which a few are misprinted, so that like a real
teacher it is never quite certain. The student is smaller and was schooled with a habit
(datasets/dates.py): it understands every wording, and where the phrase puts the day first it
mostly answers that way too, in a form that nobody asked for. Mostly, not always: the gradient of
the reverse KL vanishes where a student is certain of something wrong, so on-policy distillation
sharpens what a student does sometimes and hardly teaches what it never does.

Both come out of the ordinary fine-tuning trainer, each in a process of its own (classroom.py).
"""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.datasets.dates import DateExample, Split, generate_dates, misprint
from OnPolicyDistill.demo.classroom import Progress, replace_file, school, take_over, write_lines
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.settings.sft import SftSettings

SUMS_FILE = "SHA256SUMS"
NUM_BASE_TOKENS = 600
NUM_TOKENIZER_EXAMPLES = 4000
NUM_TRAIN = 2000
NUM_VALIDATION = 200


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """How one embedded model is made.

    `habit` is the share of its answers that follow the habit where there is one, `misprints` the
    share with a wrong digit.
    """

    name: str
    shape: TinyShape
    seed: int
    habit: float
    misprints: float
    num_conversations: int
    num_steps: int
    learning_rate: float


TEACHER = ModelPlan(
    name="tiny-teacher",
    shape=TinyShape(
        hidden_size=128,
        num_layers=4,
        num_heads=4,
        num_kv_heads=2,
        intermediate_size=256,
        logit_width=576,
        tied=False,
    ),
    seed=1,
    habit=0.0,
    misprints=0.03,
    num_conversations=16_000,
    num_steps=1300,
    learning_rate=3e-3,
)
STUDENT = ModelPlan(
    name="tiny-student",
    shape=TinyShape(
        hidden_size=112,
        num_layers=3,
        num_heads=4,
        num_kv_heads=2,
        intermediate_size=192,
        logit_width=544,
        tied=True,
    ),
    seed=2,
    habit=0.75,
    misprints=0.03,
    num_conversations=16_000,
    num_steps=1500,
    learning_rate=3e-3,
)
PLANS = (TEACHER, STUDENT)


def build_embedded(target: Path, progress: Progress, plans: Sequence[ModelPlan] = PLANS) -> None:
    """Make the dates and the embedded models and put them under a data folder.

    `progress` hears what is done, how far, and of how many. What stands there is replaced once
    everything new is ready.

    Raises:
        RunError: a training process failed; the message has its last words.
    """
    with tempfile.TemporaryDirectory(prefix="embedded-") as scratch_name:
        scratch = Path(scratch_name)
        _write_prompts(scratch / "dates")
        runs = [_prepare(scratch, plan) for plan in plans]
        school(runs, sum(plan.num_steps for plan in plans), progress)
        for plan, run in zip(plans, runs, strict=True):
            take_over(run, scratch / "models" / plan.name)
        for name in ("dates/train.jsonl", "dates/validation.jsonl"):
            replace_file(scratch / name, target / name)
        for plan in plans:
            for file in sorted((scratch / "models" / plan.name).iterdir()):
                replace_file(file, target / "models" / plan.name / file.name)
    write_text_atomically(target / "models" / SUMS_FILE, write_sums(target))


def write_sums(data: Path) -> str:
    """Checksums of dates and models in the form of `sha256sum`, relative to data/models."""
    models = data / "models"
    files = sorted(path for path in models.glob("*/*") if path.is_file())
    named = [(file.relative_to(models).as_posix(), file) for file in files]
    dates = sorted((data / "dates").glob("*.jsonl"))
    named += [(f"../dates/{file.name}", file) for file in dates]
    digests = [(hashlib.sha256(file.read_bytes()).hexdigest(), name) for name, file in named]
    return "".join(f"{digest}  {name}\n" for digest, name in digests)


def changed_files(data: Path) -> list[str]:
    """Files under a data folder that are not as its SHA256SUMS says, by name."""
    recorded = (data / "models" / SUMS_FILE).read_text(encoding="utf-8").splitlines()
    found = set(write_sums(data).splitlines())
    return [line.split("  ", 1)[1] for line in recorded if line not in found]


def _write_prompts(folder: Path) -> None:
    folder.mkdir(parents=True)
    write_lines(folder / "train.jsonl", map(_prompt, _examples(11, "train", NUM_TRAIN)))
    held_out = _examples(12, "held_out", NUM_VALIDATION)
    write_lines(folder / "validation.jsonl", map(_prompt, held_out))


def _prompt(example: DateExample) -> dict[str, str]:
    return {"prompt": example.prompt, "answer": example.answer, "style": example.style}


def _prepare(scratch: Path, plan: ModelPlan) -> RunDirectory:
    """Write a model that knows nothing, what it is to learn, and a run that teaches it."""
    folder = scratch / "models" / plan.name
    folder.mkdir(parents=True)
    examples = list(_examples(99, "train", NUM_TOKENIZER_EXAMPLES))
    texts = [text for example in examples for text in (example.prompt, example.answer)]
    write_tokenizer(folder, [*texts, *["system\n", "user\n", "assistant\n"] * 100], NUM_BASE_TOKENS)
    write_random_model(folder, plan.shape, plan.seed)
    conversations, held_out = scratch / f"{plan.name}.jsonl", scratch / f"{plan.name}-held.jsonl"
    write_lines(conversations, _conversations(plan, "train", plan.num_conversations))
    write_lines(held_out, _conversations(plan, "held_out", NUM_VALIDATION))
    settings = _settings(plan, folder, conversations, held_out)
    return create_run(scratch / plan.name, SftConfig(sft=settings))


def _settings(plan: ModelPlan, folder: Path, conversations: Path, held_out: Path) -> SftSettings:
    return SftSettings(
        run_name=plan.name,
        model=str(folder),
        conversations=str(conversations),
        validation_conversations=str(held_out),
        lora=None,
        num_steps=plan.num_steps,
        batch_size=32,
        gradient_accumulation_steps=1,
        learning_rate=plan.learning_rate,
        schedule="cosine",
        schedule_min_ratio=0.02,
        warmup_steps=50,
        weight_decay=0.01,
        mixed_precision=False,
        eval_every=250,
        checkpoint_every=plan.num_steps,
        seed=plan.seed,
    )


def _conversations(plan: ModelPlan, split: Split, count: int) -> Iterator[dict[str, str]]:
    """Yield conversations with the answers that this model is to learn."""
    habit, chance = random.Random(plan.seed + 1), random.Random(plan.seed)
    for example in _examples(plan.seed, split, count):
        is_habitual = habit.random() < plan.habit
        answer = example.habitual_answer if is_habitual else example.answer
        if chance.random() < plan.misprints:
            answer = misprint(answer, chance)
        yield {"prompt": example.prompt, "completion": answer}


def _examples(seed: int, split: Split, count: int) -> Iterable[DateExample]:
    return islice(generate_dates(seed, split), count)
