"""Held-out measurements: how near the student is to its teacher on prompts it never trains on.

Distances are taken on completions the student samples now, at temperature 1 and with the same
seeds every time; accuracy on its greedy completions. When the teacher is no longer loaded, the
distances are taken on its own completions instead, which the cache still knows.

Letters: N completion positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.models.policy import Policy, decode, hidden_states
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.teacher.scoring import EXACT, Teacher

MAX_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt ready for the models: its place in the file, token ids, text, and right answer."""

    index: int
    ids: tuple[int, ...]
    text: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The prompts of an evaluation and how to complete them.

    `fixed` are the teacher's own completions, for a teacher that will be unloaded.
    """

    prompts: tuple[EncodedPrompt, ...]
    max_tokens: int
    max_rows: int
    seed: int
    fixed: tuple[Rollout, ...] = ()


def derive_seed(seed: int, purpose: str, counter: int) -> int:
    """Return an independent 31-bit seed for one use, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}:{purpose}:{counter}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & MAX_SEED


def complete(
    policy: Policy, held_out: HeldOut, sampling: SamplingSettings, hooks: GenerationHooks
) -> list[Rollout]:
    """Complete every held-out prompt with a policy, seeded by the prompt's place in its file."""
    request = GenerationRequest(
        prompts=[prompt.ids for prompt in held_out.prompts],
        seeds=[derive_seed(held_out.seed, "held_out", p.index) for p in held_out.prompts],
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=held_out.max_tokens,
        sampling=sampling,
        max_rows=held_out.max_rows,
    )
    return generate(policy.model, request, hooks)


def graded_prompts(held_out: HeldOut) -> tuple[EncodedPrompt, ...]:
    """Return the prompts that have an answer: what accuracy is counted over."""
    return tuple(prompt for prompt in held_out.prompts if prompt.answer is not None)


def measure_accuracy(policy: Policy, held_out: HeldOut, hooks: GenerationHooks) -> float | None:
    """Share of greedy completions that equal the prompt's answer; None where no prompt has one."""
    with_answer = graded_prompts(held_out)
    if not with_answer:
        return None
    graded = HeldOut(with_answer, held_out.max_tokens, held_out.max_rows, held_out.seed)
    greedy = complete(policy, graded, SamplingSettings(temperature=0.0), hooks)
    right = sum(
        rollout.finish_reason == "stop"
        and decode(policy, rollout.completion_ids).strip() == (prompt.answer or "").strip()
        for prompt, rollout in zip(with_answer, greedy, strict=True)
    )
    return right / len(with_answer)


def evaluate_student(
    student: Policy,
    head: VocabularyHead,
    teacher: Teacher,
    held_out: HeldOut,
    hooks: GenerationHooks,
) -> dict[str, float]:
    """Measure the student against its teacher; keys and units are declared in runs/metrics.py."""
    rollouts: Sequence[Rollout] = held_out.fixed
    if teacher.is_loaded and not held_out.fixed:
        rollouts = complete(student, held_out, SamplingSettings(), hooks)
    metrics = _distances(student, head, teacher, rollouts, held_out)
    lengths = [len(rollout.completion_ids) for rollout in rollouts]
    cut = sum(rollout.finish_reason == "length" for rollout in rollouts)
    metrics["eval_completion_tokens"] = sum(lengths) / len(lengths)
    metrics["eval_truncated_share"] = cut / len(rollouts)
    accuracy = measure_accuracy(student, held_out, hooks)
    if accuracy is not None:
        metrics["eval_accuracy"] = accuracy
        metrics["eval_num_graded"] = float(len(graded_prompts(held_out)))
    return metrics


def _distances(
    student: Policy,
    head: VocabularyHead,
    teacher: Teacher,
    rollouts: Sequence[Rollout],
    held_out: HeldOut,
) -> dict[str, float]:
    sums: dict[str, float] = {}
    num_tokens = 0
    for start in range(0, len(rollouts), held_out.max_rows):
        rows = rollouts[start : start + held_out.max_rows]
        batch = pack(rows)
        fresh, kept = ([], rows) if held_out.fixed else (rows, [])
        targets = teacher.score(fresh, kept, EXACT)
        hidden = hidden_states(student.model, batch.tokens)
        hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
        compared = compare_distributions(hidden, head, targets, batch.labels)
        named = {
            "eval_reverse_kl": compared.reverse_kl,
            "eval_forward_kl": compared.forward_kl,
            "eval_agreement": compared.agreement,
            "eval_top5_agreement": compared.top5_agreement,
            "eval_student_entropy": compared.student_entropy,
            "eval_teacher_entropy": compared.teacher_entropy,
        }
        for key, values in named.items():
            sums[key] = sums.get(key, 0.0) + as_float(values.sum())
        num_tokens += batch.num_tokens
    return {key: total / num_tokens for key, total in sums.items()}
