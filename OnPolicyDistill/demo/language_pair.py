"""The embedded language pair, made from nothing: a thinker that needs its prompt, and an answerer.

tiny-thinker names the language of a text once data/languages/prompt.md tells it to, and thinks
before it answers. tiny-answerer is smaller, does not think and, told the same, mostly takes a
script for its commonest language. Told nothing, both ask what they are to do.

Each is schooled in two terms: many short conversations behind the prompt's first sentence, then a
few long ones behind all of it, because attention has to learn to find a text behind 2,000 tokens.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.demo.classroom import Progress, replace_file, school, take_over, write_lines
from OnPolicyDistill.demo.languages import (
    LABELS,
    REPLIES,
    Role,
    Sentence,
    answer_with_prompt,
    answer_without_prompt,
    part_of,
    read_sentences,
)
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.settings.sft import SftSettings

NUM_BASE_TOKENS = 1536
# Half of the labels' weight again for `ot`, which is ten languages.
DRAWN_LABELS = (*LABELS, "ot", "ot", "en", "es")
UNTOLD_SHARE = 0.2
CONTEXT_LENGTH = 8192

Conversation = dict[str, object]


@dataclass(frozen=True, slots=True)
class Term:
    """A stretch of schooling: `is_long` puts the whole prompt before up to `num_turns` texts."""

    name: str
    is_long: bool
    num_conversations: int
    num_turns: int
    num_steps: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class PupilPlan:
    """How one model is made; `habit` is the share of its hasty answers."""

    name: str
    role: Role
    shape: TinyShape
    seed: int
    habit: float
    terms: tuple[Term, ...]


LONG_TERM = Term("long", True, 160, 20, 48, 1, 1e-3)
THINKER = PupilPlan(
    name="tiny-thinker",
    role="teacher",
    shape=TinyShape(
        hidden_size=128,
        num_layers=4,
        num_heads=4,
        num_kv_heads=2,
        intermediate_size=256,
        logit_width=1600,
        tied=True,
        context_length=CONTEXT_LENGTH,
    ),
    seed=11,
    habit=0.0,
    # Thoughts suffer more from the long prompt than bare labels do.
    terms=(
        Term("short", False, 16_000, 1, 900, 16, 3e-3),
        LONG_TERM,
        Term("long again", True, 160, 20, 44, 1, 2e-3),
    ),
)
ANSWERER = PupilPlan(
    name="tiny-answerer",
    role="student",
    shape=TinyShape(
        hidden_size=96,
        num_layers=3,
        num_heads=4,
        num_kv_heads=2,
        intermediate_size=192,
        logit_width=1600,
        tied=True,
        context_length=CONTEXT_LENGTH,
    ),
    seed=12,
    habit=0.6,
    terms=(Term("short", False, 16_000, 1, 600, 24, 3e-3), LONG_TERM),
)
PUPILS = (THINKER, ANSWERER)


def build_language_pair(
    target: Path, progress: Progress, plans: Sequence[PupilPlan] = PUPILS
) -> None:
    """Make the models and put them under a data folder.

    `progress` hears what is done, how far, and of how many. What stands there is replaced once
    everything new is ready.

    Raises:
        RunError: a training process failed; the message has its last words.
    """
    source = shipped_folder("data") / "languages"
    sentences = read_sentences(source / "schooling.jsonl")
    prompt = (source / "prompt.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="languages-") as scratch_name:
        scratch = Path(scratch_name)
        for plan in plans:
            _make_pupil(scratch, plan, sentences, prompt)
        for number in range(max(len(plan.terms) for plan in plans)):
            present = [plan for plan in plans if number < len(plan.terms)]
            runs = [_enrol(scratch, plan, number, sentences, prompt) for plan in present]
            school(runs, sum(plan.terms[number].num_steps for plan in present), progress)
            for plan, run in zip(present, runs, strict=True):
                take_over(run, scratch / "models" / plan.name)
        for plan in plans:
            for file in sorted((scratch / "models" / plan.name).iterdir()):
                replace_file(file, target / "models" / plan.name / file.name)


def conversations(
    plan: PupilPlan, term: Term, sentences: Sequence[Sentence], prompt: str
) -> Iterator[Conversation]:
    """Yield what a model is schooled on in a term; the same plan gives the same conversations."""
    chance = random.Random(f"{plan.seed} {term.name}")
    by_label: Mapping[str, list[Sentence]] = _grouped(sentences)
    told = prompt if term.is_long else first_sentence(prompt)
    for _ in range(term.num_conversations):
        messages: list[dict[str, str]] = []
        is_told = chance.random() >= UNTOLD_SHARE
        if is_told:
            messages.append({"role": "system", "content": told})
        least = (term.num_turns + 1) // 2
        for _ in range(chance.randint(least, term.num_turns) if is_told else 1):
            sentence = part_of(chance.choice(by_label[chance.choice(DRAWN_LABELS)]), chance)
            if is_told:
                answer = answer_with_prompt(plan.role, sentence, plan.habit, chance)
            else:
                answer = answer_without_prompt(plan.role, chance)
            messages.append({"role": "user", "content": sentence.text})
            messages.append({"role": "assistant", "content": answer})
        yield {"messages": messages}


def first_sentence(prompt: str) -> str:
    """Return the sentence that the prompt begins with."""
    return prompt.split(".", 1)[0] + "."


def _grouped(sentences: Sequence[Sentence]) -> dict[str, list[Sentence]]:
    by_label: dict[str, list[Sentence]] = defaultdict(list)
    for sentence in sentences:
        by_label[sentence.label].append(sentence)
    return by_label


def _make_pupil(scratch: Path, plan: PupilPlan, sentences: Sequence[Sentence], prompt: str) -> None:
    """Write a model that knows nothing; both pupils get the same tokenizer."""
    folder = scratch / "models" / plan.name
    folder.mkdir(parents=True)
    chance = random.Random(0)
    thoughts = [answer_with_prompt("teacher", s, 0.0, chance) for s in sentences]
    words = ["system\n", "user\n", "assistant\n"] * 100
    untold = [answer_without_prompt("teacher", chance) for _ in range(50)]
    texts = [*[prompt] * 60, *(s.text for s in sentences), *thoughts, *words, *REPLIES, *untold]
    write_tokenizer(folder, texts, NUM_BASE_TOKENS, CONTEXT_LENGTH)
    write_random_model(folder, plan.shape, plan.seed)


def _enrol(
    scratch: Path, plan: PupilPlan, number: int, sentences: Sequence[Sentence], prompt: str
) -> RunDirectory:
    """Write what a model is to learn in a term, and the run that teaches it."""
    term = plan.terms[number]
    file = scratch / f"{plan.name}-{term.name}.jsonl"
    write_lines(file, conversations(plan, term, sentences, prompt))
    settings = SftSettings(
        run_name=f"{plan.name}, {term.name} term",
        model=str(scratch / "models" / plan.name),
        conversations=str(file),
        lora=None,
        num_steps=term.num_steps,
        batch_size=term.batch_size,
        gradient_accumulation_steps=1,
        learning_rate=term.learning_rate,
        schedule="cosine",
        schedule_min_ratio=0.02,
        warmup_steps=min(50, term.num_steps // 5),
        weight_decay=0.01,
        mixed_precision=False,
        grad_checkpoint=False,
        max_length=CONTEXT_LENGTH,
        checkpoint_every=term.num_steps,
        seed=plan.seed,
    )
    return create_run(scratch / f"{plan.name}-{term.name}", SftConfig(sft=settings))
