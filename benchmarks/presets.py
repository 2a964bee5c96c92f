"""Which preset learns best: the recipes of `default`, `pure_on_policy` and `published_recipe`.

What makes a recipe (its loss, its rate and the rate's shape, its adapter) is taken from the preset
and tried on the embedded tasks; sizes of the work stay the tasks' own. Embedded models take larger
steps than real ones: their demonstrations train at 30 times the rate of `pure_on_policy`. Each
recipe is therefore tried as it is written and with 30 times its rate; `published_recipe` also with
6 times its rate, which is that of the demonstrations. `default's loss` is that of `default` with
the rate and the adapter of `pure_on_policy`, and tells one from the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from benchmarks.learning import Arm, Learned, Task, learn_all, of_arm, paired
from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.demo.preset import shipped_preset

PRESETS = ("default", "pure_on_policy", "published_recipe")
LOSS = ("temperature", "kl_weight", "ce_weight", "divergence")
RATE = ("learning_rate", "schedule", "schedule_min_ratio", "warmup_steps", "lora")
# From 1e-4, the rate of pure_on_policy, to 3e-3, that of the demonstrations.
EMBEDDED_RATE = 30
# From 5e-4, the rate of published_recipe, to the same.
EQUAL_RATE = 6
DATES = Task(
    "dates",
    "demo",
    {"num_steps": 50, "eval_every": 50, "checkpoint_every": 50, "eval_prompts": 200},
)
SQUARES = Task(
    "squares",
    "vlm_distillation/demo",
    {"num_steps": 16, "eval_every": 16, "checkpoint_every": 16, "controls": False},
)


def recipe(preset: str, keys: tuple[str, ...]) -> Mapping[str, object]:
    """Those settings of a preset."""
    config = shipped_preset(f"{preset}.yaml")
    assert isinstance(config, OnPolicyConfig)
    values = config.distillation.model_dump()
    return {key: values[key] for key in keys}


def arms() -> list[Arm]:
    """The recipes at embedded models' rates, then as they are written."""
    written = [Arm(preset, recipe(preset, LOSS + RATE)) for preset in PRESETS]
    mixed = {**recipe("pure_on_policy", RATE), **recipe("default", LOSS)}
    scaled = [*written, Arm("default's loss", mixed)]
    return [
        *(_faster(arm, EMBEDDED_RATE) for arm in scaled),
        _faster(written[-1], EQUAL_RATE),
        *written,
    ]


def _faster(arm: Arm, times: int) -> Arm:
    rate = arm.changes["learning_rate"]
    assert isinstance(rate, float)
    return Arm(f"{arm.name} x{times}", {**arm.changes, "learning_rate": rate * times})


def lines(runs: list[Learned], task: str, against: str) -> list[str]:
    """A line an arm: means, and differences to the arm `against`, seed by seed."""
    base = of_arm(runs, task, against)
    told = []
    for name in dict.fromkeys(run.arm for run in runs if run.task == task):
        own = of_arm(runs, task, name)
        accuracy = paired(own, base, lambda run: 100 * run.accuracy)
        distance = paired(own, base, lambda run: run.reverse_kl)
        mean_accuracy = 100 * sum(run.accuracy for run in own) / len(own)
        mean_kl = sum(run.reverse_kl for run in own) / len(own)
        told.append(
            f"{task:8} {name:24} accuracy {mean_accuracy:5.1f} % ({accuracy.mean:+.1f}: "
            f"{accuracy.low:+.1f} to {accuracy.high:+.1f}), reverse KL {mean_kl:.3f} "
            f"({distance.mean:+.3f}: {distance.low:+.3f} to {distance.high:+.3f}), n = {len(own)}"
        )
    return told


def main() -> None:
    """Measure, going on with what a file has, and print how the recipes compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--kept", type=Path, default=Path("out/presets.jsonl"))
    arguments = parser.parse_args()
    arguments.kept.parent.mkdir(parents=True, exist_ok=True)
    runs = learn_all((DATES, SQUARES), arms(), arguments.seeds, arguments.kept)
    for task in (DATES, SQUARES):
        print("\n".join(lines(runs, task.name, f"default x{EMBEDDED_RATE}")))


if __name__ == "__main__":
    main()
