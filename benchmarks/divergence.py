"""Fused distillation loss against plain autodiff on whole logits: time, peak memory, gradient.

Both are run in turn in one process, so that whatever else the machine does hits both. The plain
loss is the straightforward one: whole float32 logits, teacher's logprobs made and evaluated first.
Time and memory cover the teacher's projection, the loss and the gradient of the hidden states.

Letters: N positions, V vocabulary, D hidden width.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import mlx.core as mx

from benchmarks.spread import Spread, spread
from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import rows_per_chunk
from OnPolicyDistill.losses.distillation import distillation_loss
from OnPolicyDistill.losses.objective import Divergence, Objective
from OnPolicyDistill.losses.targets import HiddenTargets

DIVERGENCES: tuple[Divergence, ...] = ("reverse_kl", "forward_kl", "jsd", "sampled_reverse_kl")
Result = tuple[mx.array, mx.array]


@dataclass(frozen=True, slots=True)
class Setting:
    """Sizes of one measurement; `chunk_size` None is the library's own choice."""

    vocab_size: int = 151_936
    positions: int = 512
    hidden_width: int = 256
    chunk_size: int | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One divergence, fused against plain; ratios are fused / plain.

    `peak` megabytes are above the two heads' weights and the inputs, which both variants hold
    anyway; `memory_ratio_with_weights` adds those on both sides. `gradient_error` is the norm of
    the difference over the norm of the plain gradient.
    """

    fused_seconds: Spread
    plain_seconds: Spread
    time_ratio: Spread
    fused_peak_mb: float
    plain_peak_mb: float
    memory_ratio: float
    memory_ratio_with_weights: float
    gradient_error: float


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
        teacher_logits = self.targets.head.logits(self.targets.hidden)
        teacher_logprobs = log_softmax(teacher_logits, self.objective.temperature)
        top_ids = mx.argmax(teacher_logits, axis=-1)
        mx.eval(teacher_logprobs, top_ids)
        del teacher_logits

        def loss(hidden: mx.array) -> mx.array:
            logits = self.head.logits(hidden)
            per_token = plain_losses(logits, teacher_logprobs, top_ids, self.labels, self.objective)
            return per_token.mean()

        value, gradient = mx.value_and_grad(loss)(self.hidden)
        mx.eval(value, gradient)
        return value, gradient


def log_softmax(logits: mx.array, temperature: float) -> mx.array:
    """Logprobs at a temperature, (N, V)."""
    scaled = logits / temperature
    return scaled - mx.logsumexp(scaled, axis=-1, keepdims=True)


def plain_losses(
    logits: mx.array,
    teacher_logprobs: mx.array,
    top_ids: mx.array,
    labels: mx.array,
    objective: Objective,
) -> mx.array:
    """Loss per position (N,) of student logits (N, V), written for autodiff and for reading."""
    student = log_softmax(logits, objective.temperature)
    if objective.divergence == "reverse_kl":
        divergence = (mx.exp(student) * (student - teacher_logprobs)).sum(axis=-1)
    elif objective.divergence == "forward_kl":
        divergence = (mx.exp(teacher_logprobs) * (teacher_logprobs - student)).sum(axis=-1)
    elif objective.divergence == "jsd":
        divergence = _plain_jsd(student, teacher_logprobs, objective.teacher_weight)
    else:
        chosen = mx.take_along_axis(student, labels[:, None], axis=-1)[:, 0]
        teacher_chosen = mx.take_along_axis(teacher_logprobs, labels[:, None], axis=-1)[:, 0]
        divergence = -mx.stop_gradient(teacher_chosen - chosen) * chosen
    top = mx.take_along_axis(log_softmax(logits, 1.0), top_ids[:, None], axis=-1)[:, 0]
    return objective.kl_weight * objective.temperature**2 * divergence - objective.ce_weight * top


def _plain_jsd(student: mx.array, teacher: mx.array, teacher_weight: float) -> mx.array:
    mixture = mx.logaddexp(
        teacher + math.log(teacher_weight), student + math.log(1 - teacher_weight)
    )
    teacher_kl = (mx.exp(teacher) * (teacher - mixture)).sum(axis=-1)
    student_kl = (mx.exp(student) * (student - mixture)).sum(axis=-1)
    return teacher_weight * teacher_kl + (1 - teacher_weight) * student_kl


def random_problem(setting: Setting, divergence: Divergence, seed: int = 0) -> Problem:
    """Peaked random logits; teacher and student agree roughly, as they do in practice."""
    N, D, V = setting.positions, setting.hidden_width, setting.vocab_size
    keys = mx.random.split(mx.random.key(seed), 5)
    width = 0.1 * math.sqrt(256 / D)
    student_weight = mx.random.normal((V, D), scale=width, key=keys[0])
    teacher_weight = student_weight + mx.random.normal((V, D), scale=width / 2, key=keys[1])
    hidden = mx.random.normal((N, D), key=keys[2])
    teacher_hidden = hidden + mx.random.normal((N, D), scale=0.3, key=keys[3])
    labels = mx.random.randint(0, V, (N,), key=keys[4])
    mx.eval(student_weight, teacher_weight, hidden, teacher_hidden, labels)
    temperature = 1.0 if divergence == "sampled_reverse_kl" else 2.0
    return Problem(
        hidden,
        VocabularyHead(student_weight, V),
        HiddenTargets(teacher_hidden, VocabularyHead(teacher_weight, V)),
        labels,
        Objective(divergence, temperature, 0.8, 0.2, 0.5, setting.chunk_size),
    )


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
        (_, gradient), *cost = timed(problem.fused)
        fused_runs.append(cost)
        (_, plain_gradient), *cost = timed(problem.plain)
        plain_runs.append(cost)
        print(
            f"{problem.objective.divergence}: fused {fused_runs[-1][0]:.2f} s, "
            f"plain {plain_runs[-1][0]:.2f} s",
            file=sys.stderr,
            flush=True,
        )
    error = mx.linalg.norm(gradient - plain_gradient) / mx.linalg.norm(plain_gradient)
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
        gradient_error=as_float(error),
    )


def peak_by_positions(setting: Setting) -> dict[int, float]:
    """Fused peak in MB above weights and inputs at half, once and twice the positions."""
    peaks = {}
    for positions in (setting.positions // 2, setting.positions, setting.positions * 2):
        sized = Setting(setting.vocab_size, positions, setting.hidden_width, setting.chunk_size)
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
    setting = Setting(16_384, 256, 64, 32) if quick else Setting()
    return run(setting, DIVERGENCES, repeats)


def main() -> None:
    """Measure and write JSON to the given path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="where to write the JSON")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--divergence", choices=DIVERGENCES, nargs="*", default=DIVERGENCES)
    parser.add_argument("--chunk-size", type=int)
    arguments = parser.parse_args()
    if arguments.quick:
        result = measure(arguments.repeats, quick=True)
    else:
        setting = Setting(chunk_size=arguments.chunk_size)
        result = run(setting, tuple(arguments.divergence), arguments.repeats)
    arguments.path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
