"""How much memory a run needs, phase by phase; what counts is the phase that needs most.

Weights stay; keys and values exist while sampling, activations while scoring or learning. The
coefficients of the activations were measured with MLX's own peak counter on the trainer's forward
and backward passes (Qwen2 layers, bf16, LoRA rank 16 on all linear layers, mlx 0.32.4, several
widths, lengths and depths); they are bytes per token and per unit of width.

On Metal, as on the CPU, attention is not fused while gradients are traced, so its weights of every
head and pair of tokens are kept for the backward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from OnPolicyDistill.planning.dimensions import Dimensions
from OnPolicyDistill.planning.models import ModelFacts
from OnPolicyDistill.planning.workload import Workload

# Per token and layer, without and with recomputation in the backward pass.
KEPT_INNER, KEPT_HIDDEN, KEPT_HEADS = 12.0, 28.0, 6.0
RECOMPUTED_INNER, RECOMPUTED_HIDDEN = 2.0, 10.0
# Per token, once: the layer under way.
WORKING_INNER, WORKING_HIDDEN = 21.0, 38.0
RECOMPUTING_INNER, RECOMPUTING_HIDDEN = 44.0, 75.0
FORWARD_INNER, FORWARD_HIDDEN = 4.5, 43.0
# Per pair of tokens, head and layer.
ATTENTION_PAIR = 4.75
FLOAT32_FACTOR = 1.7

PREFILL_TOKENS = 2048
# The losses walk over as many positions at once as have this many bytes of logits, at least 16,
# and hold up to 16 such arrays (losses/chunks.py).
CHUNK_BYTES = 20 * 2**20
SMALLEST_CHUNK = 16
ARRAYS_PER_CHUNK = 16
# Float32 weights and two moments; two gradients and an update while learning.
ADAPTER_BYTES, LEARNING_BYTES = 12, 12
# A copy of the student that scores: float32 weights alone.
COPY_BYTES = 4
RUNTIME_BYTES = 1_000_000_000

PARTS = (
    "teacher",
    "student",
    "vision_towers",
    "picture_features",
    "lora_and_optimizer",
    "activations",
    "kv_cache",
    "logits_chunks",
    "teacher_cache",
    "runtime",
)


@dataclass(frozen=True, slots=True)
class PhaseMemory:
    """Bytes by part while one phase of the run is at its peak."""

    name: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.parts.values())


def forecast_memory(work: Workload) -> list[PhaseMemory]:
    """The phases of a run with their memory, in the order they come."""
    if work.groups is not None:
        return [_sampling(work, {}), _learning(work, {})]
    if work.distillation is None:
        return [_learning(work, resident={})]
    if work.teacher is None:
        return [_sampling(work, {}), _learning(work, {})]
    teacher = {"teacher": work.teacher.loaded_bytes}
    if work.distillation.keep_teacher_loaded:
        cached = {**teacher, "teacher_cache": work.cache_bytes}
        return [_sampling(work, cached), _scoring(work, cached), _learning(work, cached)]
    head = work.teacher.head_bytes if work.distillation.teacher_targets == "hidden_states" else 0
    cached = {"teacher_cache": work.cache_bytes}
    return [
        _sampling(work, {}),
        _scoring(work, {**teacher, **cached}, student_is_there=False),
        _learning(work, {**cached, "teacher": head}),
    ]


def answering_memory(work: Workload, name: str) -> PhaseMemory:
    """Memory while the workload's student, alone in memory, answers a step's rows at once."""
    return replace(_sampling(work, {}), name=name)


def peak(phases: list[PhaseMemory]) -> PhaseMemory:
    """The phase that needs most."""
    return max(phases, key=lambda phase: phase.total)


def _sampling(work: Workload, resident: Mapping[str, int]) -> PhaseMemory:
    d = work.student.dimensions
    rows = work.rows_per_step
    tokens = min(rows * work.prompts.longest_tokens, PREFILL_TOKENS)
    return _phase(
        "sampling",
        {
            **_student(work),
            **resident,
            "activations": _forward_bytes(d, tokens),
            "kv_cache": rows * d.kept.row_bytes(work.row_tokens),
            "logits_chunks": 6 * 4 * rows * d.logit_width,
        },
    )


def _scoring(
    work: Workload, resident: Mapping[str, int], student_is_there: bool = True
) -> PhaseMemory:
    assert work.teacher is not None
    d = work.teacher.dimensions
    rows = work.rows_per_step
    # The teacher completes held-out prompts itself before it leaves.
    kv_bytes = 0 if student_is_there else rows * d.kept.row_bytes(work.row_tokens)
    return _phase(
        "scoring",
        {
            **(_student(work) if student_is_there else {}),
            **resident,
            "activations": _forward_bytes(d, work.rows_per_pass * work.row_tokens),
            "kv_cache": kv_bytes,
            "logits_chunks": _chunk_bytes(work),
        },
    )


def _learning(work: Workload, resident: Mapping[str, int]) -> PhaseMemory:
    tokens = work.rows_per_pass * work.row_tokens
    student = _student(work)
    adapter = student["lora_and_optimizer"] + work.num_adapter_parameters * LEARNING_BYTES
    return _phase(
        "learning",
        {
            **student,
            **resident,
            "lora_and_optimizer": adapter,
            "activations": backward_bytes(work, tokens),
            "logits_chunks": _chunk_bytes(work),
        },
    )


def backward_bytes(work: Workload, tokens: int) -> int:
    """Activations of one micro-batch's forward and backward pass."""
    d = work.student.dimensions
    inner, hidden, heads = d.active_intermediate, d.hidden_size, d.query_width + 2 * d.kv_width
    pairs = ATTENTION_PAIR * d.num_heads * work.row_tokens
    if work.settings.grad_checkpoint:
        per_layer = RECOMPUTED_INNER * inner + RECOMPUTED_HIDDEN * hidden
        once = RECOMPUTING_INNER * inner + RECOMPUTING_HIDDEN * hidden + 3 * pairs
    else:
        per_layer = KEPT_INNER * inner + KEPT_HIDDEN * hidden + KEPT_HEADS * heads + pairs
        once = WORKING_INNER * inner + WORKING_HIDDEN * hidden + pairs
    return round(tokens * (d.num_layers * per_layer + once) * _type_factor(d))


def _forward_bytes(d: Dimensions, tokens: int) -> int:
    per_token = FORWARD_INNER * d.active_intermediate + FORWARD_HIDDEN * d.hidden_size
    return round(tokens * per_token * _type_factor(d))


def _chunk_bytes(work: Workload) -> int:
    """Logits of a few positions at a time, and the hidden states and gradients of all."""
    width = work.student.dimensions.logit_width
    positions = work.rows_per_pass * work.learned_positions
    hidden = 12 * work.student.dimensions.hidden_size + work.target_bytes
    logits = ARRAYS_PER_CHUNK * max(CHUNK_BYTES, 4 * SMALLEST_CHUNK * width)
    # Fewer positions than a chunk need less, as with small vocabularies.
    return min(logits, ARRAYS_PER_CHUNK * 4 * width * positions) + positions * hidden


def _student(work: Workload) -> dict[str, int]:
    copies = 0 if work.distillation is None else work.distillation.num_copies
    copied = copies * work.num_adapter_parameters * COPY_BYTES
    return {
        "student": work.student.loaded_bytes,
        "lora_and_optimizer": work.num_adapter_parameters * ADAPTER_BYTES + copied,
    }


def _phase(name: str, parts: Mapping[str, int]) -> PhaseMemory:
    named = {part: parts.get(part, 0) for part in PARTS}
    return PhaseMemory(name, {**named, "runtime": RUNTIME_BYTES})


def _type_factor(d: Dimensions) -> float:
    return FLOAT32_FACTOR if d.bits == 32 else 1.0


def loaded_gb(facts: ModelFacts) -> float:
    """Weights in GB (1e9 bytes)."""
    return facts.loaded_bytes / 1e9
