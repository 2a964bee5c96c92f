"""Fused distillation loss against plain autodiff on whole logits: time, peak memory, gradient.

Both are run in turn in one process, so that whatever else the machine does hits both. The plain
loss is the straightforward one: whole float32 logits, teacher's logprobs made and evaluated first.
Time and memory cover the teacher's projection, the loss and the gradient of the hidden states.
Errors are against float64 (benchmarks/exact.py) over the whole vocabulary, for both.

Letters: N positions, V vocabulary, D hidden width.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import mlx.core as mx
import numpy as np

from benchmarks.exact import as_float64, exact_loss
from benchmarks.plain import log_softmax, plain_losses
from benchmarks.spread import Spread, spread
from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.divergences import DIVERGENCES, FACTS, Divergence
from OnPolicyDistill.head import Quantization, VocabularyHead
from OnPolicyDistill.losses.chunks import rows_per_chunk
from OnPolicyDistill.losses.distillation import distillation_loss
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.targets import HiddenTargets

HeadType = Literal["float32", "bfloat16", "4-bit"]
Result = tuple[mx.array, mx.array]


@dataclass(frozen=True, slots=True)
class Setting:
    """Sizes of one measurement; `chunk_size` None is the library's own choice.

    Heads of 16 or 4 bits come with hidden states in bfloat16, as models hand them over. The
    teacher is `distance` away from the student, as a share of the student's weights.
    """

    vocab_size: int = 151_936
    positions: int = 512
    hidden_width: int = 256
    chunk_size: int | None = None
    head_type: HeadType = "float32"
    distance: float = 0.5


@dataclass(frozen=True, slots=True)
class Measurement:
    """One divergence, fused against plain; ratios are fused / plain.

    `peak` megabytes are above the two heads' weights and the inputs, which both variants hold
    anyway; `memory_ratio_with_weights` adds those on both sides. Errors are the difference from
    float64 as a share of it: of the value, and of the gradient by norms.
    """

    fused_seconds: Spread
    plain_seconds: Spread
    time_ratio: Spread
    fused_peak_mb: float
    plain_peak_mb: float
    memory_ratio: float
    memory_ratio_with_weights: float
    value_error: float
    plain_value_error: float
    gradient_error: float
    plain_gradient_error: float


@dataclass(frozen=True, slots=True)
class Problem:
    """A random student and teacher at the same positions, and the objective between them."""

    hidden: mx.array
    head: VocabularyHead
    targets: HiddenTargets
    labels: mx.array
    objective: Objective

    def fused(self) -> Result:
        """Value and gradient of the hidden states by the library's loss, statistics included."""

        def loss(hidden: mx.array) -> tuple[mx.array, tuple[mx.array, ...]]:
            value, stats = distillation_loss(
                hidden,
                self.head,
                self.targets,
                self.labels,
                float(self.labels.shape[0]),
                self.objective,
            )
            return value, astuple(stats)

        (value, stats), gradient = mx.value_and_grad(loss)(self.hidden)
        mx.eval(value, gradient, *stats)
        return value, gradient

    def plain(self) -> Result:
        """Value and gradient of the hidden states by autodiff on whole logits."""
        teacher_logits = self.targets.head.plain_logits(self.targets.hidden)
        teacher_logprobs = log_softmax(teacher_logits, self.objective.temperature)
        top_ids = mx.argmax(teacher_logits, axis=-1)
        mx.eval(teacher_logprobs, top_ids)
        del teacher_logits

        def loss(hidden: mx.array) -> mx.array:
            logits = self.head.plain_logits(hidden)
            per_token = plain_losses(logits, teacher_logprobs, top_ids, self.labels, self.objective)
            return per_token.mean()

        value, gradient = mx.value_and_grad(loss)(self.hidden)
        mx.eval(value, gradient)
        return value, gradient


def random_problem(setting: Setting, divergence: Divergence, seed: int = 0) -> Problem:
    """Peaked random logits; teacher and student agree roughly, as they do in practice."""
    N, D, V = setting.positions, setting.hidden_width, setting.vocab_size
    keys = mx.random.split(mx.random.key(seed), 5)
    width = 0.1 * math.sqrt(256 / D)
    student_weight = mx.random.normal((V, D), scale=width, key=keys[0])
    teacher_weight = student_weight + mx.random.normal(
        (V, D), scale=width * setting.distance, key=keys[1]
    )
    hidden = mx.random.normal((N, D), key=keys[2])
    teacher_hidden = hidden + mx.random.normal((N, D), scale=0.6 * setting.distance, key=keys[3])
    labels = mx.random.randint(0, V, (N,), key=keys[4])
    head, teacher_head = (made_head(w, setting.head_type) for w in (student_weight, teacher_weight))
    if setting.head_type != "float32":
        hidden, teacher_hidden = (h.astype(mx.bfloat16) for h in (hidden, teacher_hidden))
    mx.eval(head.weight, teacher_head.weight, hidden, teacher_hidden, labels)
    temperature = 1.0 if FACTS[divergence].is_sampled else 2.0
    return Problem(
        hidden,
        head,
        HiddenTargets(teacher_hidden, teacher_head),
        labels,
        Objective(
            divergence=divergence,
            temperature=temperature,
            kl_weight=0.8,
            ce_weight=0.2,
            teacher_weight=0.5,
            chunk_size=setting.chunk_size,
        ),
    )


def made_head(weight: mx.array, head_type: HeadType) -> VocabularyHead:
    """A head of this type from float32 weights (V, D)."""
    V = weight.shape[0]
    if head_type == "float32":
        return VocabularyHead(weight, V)
    if head_type == "bfloat16":
        return VocabularyHead(weight.astype(mx.bfloat16), V)
    packed, scales, biases = mx.quantize(weight.astype(mx.bfloat16), group_size=64, bits=4)
    return VocabularyHead(packed, V, quantization=Quantization(scales, biases, 64, 4))


def errors(problem: Problem, results: tuple[Result, ...]) -> list[tuple[float, float]]:
    """Relative errors of each result's value and gradient against float64."""
    exact = exact_loss(
        problem.hidden, problem.head, problem.targets, problem.labels, problem.objective
    )
    value, expected = exact.losses.mean(), exact.gradient / len(exact.losses)
    length = np.linalg.norm(expected)
    return [
        (
            abs(as_float(found) / float(value) - 1),
            float(np.linalg.norm(as_float64(gradient) - expected) / length),
        )
        for found, gradient in results
    ]


def timed(compute: Callable[[], Result]) -> tuple[Result, float, int]:
    """Result, seconds, and peak bytes above what was held before."""
    mx.clear_cache()
    held = mx.get_active_memory()
    mx.reset_peak_memory()
    started = time.perf_counter()
    result = compute()
    seconds = time.perf_counter() - started
    return result, seconds, mx.get_peak_memory() - held


def compare(problem: Problem, repeats: int) -> Measurement:
    """Run fused and plain in turn, `repeats` times each."""
    held = mx.get_active_memory()
    fused_runs = []
    plain_runs = []
    for _ in range(repeats):
        fused, *cost = timed(problem.fused)
        fused_runs.append(cost)
        plain, *cost = timed(problem.plain)
        plain_runs.append(cost)
        print(
            f"{problem.objective.divergence}: fused {fused_runs[-1][0]:.2f} s, "
            f"plain {plain_runs[-1][0]:.2f} s",
            file=sys.stderr,
            flush=True,
        )
    (value_error, gradient_error), plain_errors = errors(problem, (fused, plain))
    fused_peak = max(peak for _, peak in fused_runs)
    plain_peak = max(peak for _, peak in plain_runs)
    return Measurement(
        fused_seconds=spread([seconds for seconds, _ in fused_runs]),
        plain_seconds=spread([seconds for seconds, _ in plain_runs]),
        time_ratio=spread(
            [fused / plain for (fused, _), (plain, _) in zip(fused_runs, plain_runs, strict=True)]
        ),
        fused_peak_mb=fused_peak / 1e6,
        plain_peak_mb=plain_peak / 1e6,
        memory_ratio=fused_peak / plain_peak,
        memory_ratio_with_weights=(fused_peak + held) / (plain_peak + held),
        value_error=value_error,
        plain_value_error=plain_errors[0],
        gradient_error=gradient_error,
        plain_gradient_error=plain_errors[1],
    )


def peak_by_positions(setting: Setting) -> dict[int, float]:
    """Fused peak in MB above weights and inputs at half, once and twice the positions."""
    peaks = {}
    for positions in (setting.positions // 2, setting.positions, setting.positions * 2):
        sized = replace(setting, positions=positions)
        peaks[positions] = timed(random_problem(sized, "reverse_kl").fused)[2] / 1e6
    return peaks


def run(setting: Setting, divergences: tuple[Divergence, ...], repeats: int) -> dict[str, object]:
    """Measure the divergences and the peak's growth; plain JSON values."""
    return {
        "setting": {
            **asdict(setting),
            "chunk_size": rows_per_chunk(setting.vocab_size, setting.chunk_size),
        },
        "repeats": repeats,
        "divergences": {
            name: asdict(compare(random_problem(setting, name), repeats)) for name in divergences
        },
        "fused_peak_mb_by_positions": peak_by_positions(setting),
    }


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Measure every divergence; `quick` shrinks the vocabulary so that it ends within seconds."""
    if quick:
        return run(Setting(16_384, 256, 64, 32), DIVERGENCES, repeats)
    # Plain losses take minutes: once each here, `repeats` times by this benchmark's own command.
    # Fewer positions would give other ratios: at 128 the fused loss takes 0.4 to 0.75 of the time.
    return run(Setting(), DIVERGENCES, repeats=1)


def main() -> None:
    """Measure and write JSON to the given path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="where to write the JSON")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--divergence", choices=DIVERGENCES, nargs="*", default=DIVERGENCES)
    parser.add_argument("--chunk-size", type=int)
    parser.add_argument("--head", choices=get_args(HeadType), default="float32")
    parser.add_argument("--positions", type=int, default=512)
    parser.add_argument("--hidden-width", type=int, default=256)
    parser.add_argument("--distance", type=float, default=0.5)
    arguments = parser.parse_args()
    if arguments.quick:
        result = measure(arguments.repeats, quick=True)
    else:
        setting = Setting(
            positions=arguments.positions,
            hidden_width=arguments.hidden_width,
            chunk_size=arguments.chunk_size,
            head_type=arguments.head,
            distance=arguments.distance,
        )
        result = run(setting, tuple(arguments.divergence), arguments.repeats)
    arguments.path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
