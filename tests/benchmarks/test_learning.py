"""Arms are trained with the same seeds, kept as they end, and compared seed by seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.learning import (
    Arm,
    Learned,
    Task,
    learn_all,
    of_arm,
    paired,
    read_kept,
)
from benchmarks.prefix import DATES, SQUARES, lines, reuse_arms, share_arms, summary
from benchmarks.presets import arms

TASK = Task("dates", "demo")
ARMS = [Arm("100", {}), Arm("50", {"loss_tokens": "9"})]


def found(task: Task, arm: Arm, seed: int) -> Learned:
    gain = 0.3 if arm.name == "100" else 0.3 + 0.01 * seed
    return Learned(
        task=task.name,
        arm=arm.name,
        seed=seed,
        accuracy_before=0.5,
        accuracy=0.5 + gain,
        reverse_kl_before=2.0,
        reverse_kl=1 - gain,
        seconds=2.0,
        cpu_seconds=3.0,
        num_tokens=10,
        completion_tokens=5,
    )


def test_a_measurement_that_was_broken_off_goes_on_with_what_it_has(tmp_path: Path) -> None:
    kept, trained = tmp_path / "kept.jsonl", []

    def one(task: Task, arm: Arm, seed: int) -> Learned:
        trained.append((seed, arm.name))
        return found(task, arm, seed)

    learn_all([TASK], ARMS, 2, kept, one)
    assert trained == [(1, "100"), (1, "50"), (2, "100"), (2, "50")]
    runs = learn_all([TASK], ARMS, 3, kept, one)
    assert trained[4:] == [(3, "100"), (3, "50")]
    assert read_kept(kept) == runs


def test_arms_are_compared_seed_by_seed_with_an_interval_over_seeds() -> None:
    runs = learn_all([TASK], ARMS, 3, None, found)
    change = paired(of_arm(runs, "dates", "50"), of_arm(runs, "dates", "100"), lambda r: r.accuracy)
    # 0.01, 0.02, 0.03: a mean of 0.02, a deviation of 0.01, and t = 4.303 for two degrees.
    assert change.mean == pytest.approx(0.02)
    assert change.high - change.mean == pytest.approx(4.303 * 0.01 / 3**0.5)
    assert change.mean - change.low == pytest.approx(change.high - change.mean)
    assert runs[0].accuracy_per_second == pytest.approx(0.15)
    assert "+2.0: -0.5 to +4.5" in lines(runs, "dates")[1]
    with pytest.raises(ValueError, match="two seeds"):
        paired(runs[:1], runs[:1], lambda run: run.accuracy)


def test_shares_are_of_the_tasks_own_completions() -> None:
    limits = [[arm.changes.get("loss_tokens") for arm in share_arms(d)] for d in (SQUARES, DATES)]
    assert limits == [[None, "16", "10", "auto"], [None, "9", "6", "auto"]]


def test_rollouts_that_are_reused_are_tried_in_as_many_steps_and_in_as_much_time() -> None:
    tried = [
        (
            arm.changes["rollout_reuse"],
            arm.changes.get("num_steps", lesson.task.changes["num_steps"]),
        )
        for lesson in (SQUARES, DATES)
        for arm in reuse_arms(lesson)
    ]
    assert tried == [(2, 12), (4, 12), (2, 18), (4, 28), (2, 30), (4, 30), (2, 40), (4, 56)]
    longest = reuse_arms(DATES)[-1]
    assert longest.name == "reuse 4 x 56"
    assert longest.changes["eval_every"] == longest.changes["checkpoint_every"] == 56


def test_recipes_are_tried_as_written_and_at_the_rate_of_the_demonstrations() -> None:
    rates = {arm.name: arm.changes["learning_rate"] for arm in arms()}
    assert rates["default"] == 1e-5
    assert rates["pure_on_policy x30"] == pytest.approx(3e-3)
    assert rates["published_recipe x6"] == pytest.approx(3e-3)
    changes = {arm.name: arm.changes for arm in arms()}
    mixed, pure = changes["default's loss x30"], changes["pure_on_policy x30"]
    assert (mixed["temperature"], pure["temperature"]) == (2, 1)
    assert mixed["lora"] == pure["lora"]


def test_what_a_share_gives_has_its_spread_over_the_seeds() -> None:
    runs = learn_all([TASK], ARMS, 3, None, found)
    told = summary(of_arm(runs, "dates", "50"))
    assert told["accuracy_per_second"] == pytest.approx(
        {"median": 0.16, "low": 0.155, "high": 0.165}
    )
    assert told.keys() == {"accuracy_per_second", "accuracy", "reverse_kl", "seconds"}
