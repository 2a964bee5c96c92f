"""What the first tokens of completions teach, and what rollouts are worth that are used again.

Two embedded tasks, chosen for where the student is wrong: on squared paper it thinks before it
answers (about 32 tokens, the longest completions of any embedded task) and slips in the middle of
the thought; a date has 17 tokens, and the habit shows in the first. Shares are of those lengths.
All arms take the same number of optimizer steps, from the same seeds, but those that spend on more
steps what reused rollouts save. Completions as short as these say little of thoughts of thousands
of tokens, which is where the papers found savings.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.learning import Arm, Learned, Paired, Task, learn_all, of_arm, paired
from benchmarks.spread import spread

WHOLE = "100"
SHARES = (WHOLE, "50", "30", "auto")
USES = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A task and how long its completions are, in tokens.

    `same_time` has how many steps of rollouts that are used so often take about as much processor
    time as the task's steps.
    """

    task: Task
    typical_tokens: int
    same_time: Mapping[int, int] = field(default_factory=dict)


def _lesson(name: str, preset: str, steps: int, prompts: int, tokens: int) -> Lesson:
    changes: dict[str, object] = {**_only(steps), "eval_prompts": prompts}
    if name == "squares":
        changes["controls"] = False
    return Lesson(Task(name, preset, changes), tokens)


def _only(steps: int) -> dict[str, object]:
    """So many steps, evaluated before and after."""
    return {"num_steps": steps, "eval_every": steps, "checkpoint_every": steps}


# The last are as found with equal steps: 10.3 s for 12, 6.6 and 4.1 s reused; 11.4, 8.3 and 6.1 s.
SQUARES = replace(
    _lesson("squares", "vlm_distillation/demo", steps=12, prompts=100, tokens=32),
    same_time={2: 18, 4: 28},
)
DATES = replace(
    _lesson("dates", "demo", steps=30, prompts=100, tokens=17), same_time={2: 40, 4: 56}
)
SUITE = _lesson("squares", "vlm_distillation/demo", steps=10, prompts=36, tokens=32)
QUICK = _lesson("dates", "demo", steps=2, prompts=4, tokens=17)
SUITE_SEEDS = 2


def share_arms(lesson: Lesson) -> list[Arm]:
    """All positions, the first half, the first 30 %, and as far as the evaluation finds it pays."""
    arms = [Arm(WHOLE, {})]
    for share in SHARES[1:-1]:
        tokens = math.ceil(lesson.typical_tokens * int(share) / 100)
        arms.append(Arm(share, {"loss_tokens": str(tokens)}))
    return [*arms, Arm("auto", {"loss_tokens": "auto"})]


def reuse_arms(lesson: Lesson) -> list[Arm]:
    """Rollouts that are used several times, in as many steps and in as much time as used once.

    Once is the arm of all positions.
    """
    arms = [Arm(f"reuse {uses}", {"rollout_reuse": uses}) for uses in USES[1:]]
    for uses, steps in lesson.same_time.items():
        arms.append(Arm(f"reuse {uses} x {steps}", {"rollout_reuse": uses, **_only(steps)}))
    return arms


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Train every share with a few seeds; plain JSON values, by share.

    `repeats` are seeds, `SUITE_SEEDS` at most: the whole measurement is `python -m
    benchmarks.prefix`, in half an hour.
    """
    lesson = QUICK if quick else SUITE
    runs = learn_all([lesson.task], share_arms(lesson), min(repeats, SUITE_SEEDS))
    return {share: summary(of_arm(runs, lesson.task.name, share)) for share in SHARES}


def summary(runs: Sequence[Learned]) -> dict[str, object]:
    """Median and range over the seeds of what an arm learned, and of what it took."""
    values: dict[str, Callable[[Learned], float]] = {
        "accuracy_per_second": lambda run: run.accuracy_per_second,
        "accuracy": lambda run: run.accuracy,
        "reverse_kl": lambda run: run.reverse_kl,
        "seconds": lambda run: run.seconds,
    }
    return {name: asdict(spread([value(run) for run in runs])) for name, value in values.items()}


def lines(runs: Sequence[Learned], task: str) -> list[str]:
    """A line an arm: medians, and differences to all positions used once, seed by seed."""
    base = of_arm(runs, task, WHOLE)
    told = []
    for name in dict.fromkeys(run.arm for run in runs if run.task == task):
        own = of_arm(runs, task, name)
        rate = spread([100 * run.accuracy_per_second for run in own])
        accuracy = paired(own, base, lambda run: 100 * run.accuracy)
        distance = paired(own, base, lambda run: run.reverse_kl)
        speed = paired(own, base, lambda run: 100 * run.accuracy_per_second)
        cpu = paired(own, base, lambda run: 100 * run.accuracy_per_cpu_second)
        seconds = spread([run.seconds for run in own])
        told.append(
            f"{task:8} {name:12} accuracy {_mean(own):5.1f} % ({_told(accuracy, 1)}), reverse KL "
            f"({_told(distance, 3)}), {seconds.median:.1f} s, points a second {rate.median:.2f} "
            f"[{rate.low:.2f}, {rate.high:.2f}] ({_told(speed, 2)}), a second of processor time "
            f"({_told(cpu, 2)}), n = {len(own)}"
        )
    return told


def _mean(runs: Sequence[Learned]) -> float:
    return 100 * sum(run.accuracy for run in runs) / len(runs)


def _told(change: Paired, digits: int) -> str:
    return f"{change.mean:+.{digits}f}: {change.low:+.{digits}f} to {change.high:+.{digits}f}"


def main() -> None:
    """Measure both tasks, going on with what a file has, and print how the arms compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--kept", type=Path, default=Path("out/prefix.jsonl"))
    arguments = parser.parse_args()
    arguments.kept.parent.mkdir(parents=True, exist_ok=True)
    for lesson in (SQUARES, DATES):
        arms = [*share_arms(lesson), *reuse_arms(lesson)]
        runs = learn_all([lesson.task], arms, arguments.seeds, arguments.kept)
        print("\n".join(lines(runs, lesson.task.name)))


if __name__ == "__main__":
    main()
