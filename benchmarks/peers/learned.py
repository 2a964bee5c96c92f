"""How near a student came to its teacher, by our own meter, whoever taught it."""

from __future__ import annotations

import shutil
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)
from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.targets import HiddenTargets
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import Policy, encode_prompt, vocabulary_head
from OnPolicyDistill.rollout import pack
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory

import mlx.core as mx  # isort: skip

NUM_PROMPTS = 64
SETTINGS_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
)
OWN_RUN = "own.txt"


def held_out_reverse_kl(folder: Path, name: str, max_tokens: int) -> float:
    """Mean reverse KL (nats a token) on held-out prompts, on completions it samples itself.

    `name` is the folder of a student in the lesson's, or `own` for the run of ours.
    """
    student = student_of(folder, name)
    teacher = load_policy(str(folder / "teacher"), mixed_precision=False)
    asked = load_prompts(folder / "validation.jsonl").prompts[:NUM_PROMPTS]
    prompts = [encode_prompt(student, prompt.messages) for prompt in asked]
    request = GenerationRequest(
        prompts,
        list(range(len(prompts))),
        student.stop_ids,
        student.vocab_size,
        max_tokens,
        max_rows=32,
    )
    packed = pack(generate(student.model, request))
    theirs, own = (
        _at(read_hidden_states(policy.model, packed.tokens), packed.positions)
        for policy in (teacher, student)
    )
    targets = HiddenTargets(theirs, vocabulary_head(teacher))
    found = compare_distributions(own, vocabulary_head(student), targets, packed.labels)
    return as_float(found.reverse_kl.mean())


def student_of(folder: Path, name: str) -> Policy:
    """A student of the lesson, with what it learned."""
    if name == "own":
        run = RunDirectory(Path((folder / OWN_RUN).read_text(encoding="utf-8")))
        checkpoint = last_checkpoint(run)
        assert checkpoint is not None
        base = load_policy(str(folder / "student"), mixed_precision=False)
        return load_adapter(base, checkpoint)[0]
    if name != "student":
        # Its config too: newer transformers write RoPE's settings where mlx-lm does not look.
        for file in SETTINGS_FILES:
            shutil.copy(folder / "student" / file, folder / name / file)
    return load_policy(str(folder / name), mixed_precision=False)


def _at(hidden: mx.array, positions: mx.array) -> mx.array:
    return mx.take(hidden.reshape(-1, hidden.shape[-1]), positions, axis=0)
