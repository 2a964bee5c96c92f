"""GRPO without a teacher: what rewards move, what they leave alone, and that runs repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import DatasetError, RunError, StoppedError
from OnPolicyDistill.runs.checkpoints import last_checkpoint, pointed
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import RolloutRecord
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.trainers.grpo.train import train
from tests.described import assert_as_described
from tests.rounding import SAME_ADAPTER, parted
from tests.trainers.conftest import Classroom
from tests.trainers.test_on_policy import (
    StopAfter,
    adapter,
    adapter_bytes,
    evaluations,
    events,
    steps,
)

Create = Callable[..., RunDirectory]
# Completions of the tiny model are noise; what it can learn is to say more letters.
LETTERS = "def reward(completion):\n    return sum(map(str.isalpha, completion.text)) / 6\n"
EQUAL = "def reward(completion):\n    return 0.7\n"
# Of half of the prompts every completion is worth the same.
SOME_DEAD = (
    "def reward(completion):\n    is_told_apart = sum(map(ord, completion.prompt)) % 2\n"
    "    return len(completion.text) % 7 if is_told_apart else 0.7\n"
)


@pytest.fixture
def create(classroom: Classroom) -> Create:
    def create(reward: str = LETTERS, **settings: object) -> RunDirectory:
        file = classroom.root / "mine.py"
        file.write_text(reward, encoding="utf-8")
        values = {
            "model": str(classroom.root / "student"),
            "prompts": str(classroom.root / "prompts.jsonl"),
            "validation_prompts": str(classroom.root / "validation.jsonl"),
            "rewards": [{"kind": "python", "file": str(file)}],
            "num_steps": 6,
            "batch_size": 2,
            "gradient_accumulation_steps": 1,
            "num_completions": 4,
            "learning_rate": 0.01,
            "max_generation_tokens": 8,
            "eval_every": 3,
            "checkpoint_every": 2,
            "lora": {"rank": 4, "alpha": 8},
            "grad_checkpoint": False,
            **settings,
        }
        return create_run(classroom.root, parse_config({"grpo": values}))

    return create


def checks(run: RunDirectory) -> dict[str, Any]:
    return {c.name: c for e in events(run, "self_test_finished") for c in e.checks}


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_type": "dapo"},
        {"loss_type": "cispo", "epsilon_high": 5.0, "num_iterations": 2},
    ],
)
def test_it_moves_towards_more_reward(create: Create, settings: dict[str, object]) -> None:
    run = create(num_steps=12, eval_every=12, num_completions=8, learning_rate=0.03, **settings)
    train(run)
    held_out = evaluations(run)
    assert held_out[12]["eval_reward"] > 2 * held_out[0]["eval_reward"]
    assert_as_described(run)


@pytest.mark.parametrize("skip", [True, False])
def test_equal_rewards_change_no_byte_in_five_steps(create: Create, skip: bool) -> None:
    run = create(EQUAL, num_steps=5, eval_every=5, checkpoint_every=1, skip_dead_groups=skip)
    train(run)
    first, last = (
        (run.checkpoints / name / "adapters.safetensors").read_bytes()
        for name in ("000003", "000005")
    )
    assert first == last
    weights = adapter(run)
    assert all(mx.abs(w).max().item() == 0 for n, w in weights.items() if n.endswith("lora_b"))
    assert all(metrics["dead_share"] == 1 for metrics in steps(run).values())
    assert all(metrics["loss"] == 0 for metrics in steps(run).values())


def test_a_step_of_dead_groups_takes_no_update_though_weights_decay(create: Create) -> None:
    run = create(EQUAL, num_steps=2, eval_every=2, checkpoint_every=1, weight_decay=0.1)
    train(run)
    files = [run.checkpoints / name / "adapters.safetensors" for name in ("000001", "000002")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_proof_measures_rewards_gradients_and_the_adapter(create: Create) -> None:
    run = create(num_steps=1)
    train(run)
    measured = checks(run)
    assert set(measured) == {
        "equal_rewards",
        "advantages_balance",
        "completions_whole",
        "logprobs_match",
        "logprobs_near",
        "logprobs_unbiased",
        "temperature_matches",
        "gradient_flows",
        "adapter_moves",
        "base_stays",
    }
    assert all(check.passed for check in measured.values())
    assert measured["equal_rewards"].measured == 0
    assert measured["adapter_moves"].measured > 0
    assert measured["logprobs_match"].measured < 1e-4


def test_sampled_logprobs_equal_those_of_the_pass_that_learns(create: Create) -> None:
    run = create(num_steps=2, temperature=0.7)
    train(run)
    assert all(metrics["logprob_gap"] < 1e-4 for metrics in steps(run).values())
    # At another temperature than 1 the policy itself is not sampled: the proof does not compare it.
    assert "logprobs_match" not in checks(run)


def test_only_the_adapter_changes(create: Create) -> None:
    run = create()
    train(run)
    assert all(name.endswith((".lora_a", ".lora_b")) for name in adapter(run))
    assert any(mx.abs(w).max().item() > 0 for n, w in adapter(run).items() if n.endswith("lora_b"))
    assert checks(run)["base_stays"].passed


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_type": "dapo", "mask_truncated": True},
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "num_iterations": 2},
        {"loss_type": "dr_grpo", "beta": 0.1},
    ],
)
def test_four_micro_batches_of_one_prompt_equal_one_of_four(
    create: Create, settings: dict[str, object]
) -> None:
    together = create(batch_size=4, num_steps=2, eval_every=2, **settings)
    apart = create(
        batch_size=1, gradient_accumulation_steps=4, num_steps=2, eval_every=2, **settings
    )
    train(together)
    train(apart)
    assert parted(adapter(apart), adapter(together)) < SAME_ADAPTER


@pytest.mark.parametrize(
    "settings",
    [
        {"num_iterations": 3, "lora": {"rank": 4, "alpha": 8, "dropout": 0.1}},
        {"beta": 0.1, "reference": "start", "grad_checkpoint": True, "schedule": "cosine"},
        {"reward": SOME_DEAD, "max_resamples": 2},
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    create: Create, settings: dict[str, Any]
) -> None:
    whole = create(**settings)
    train(whole)
    broken = create(**settings)
    observer = StopAfter(3)
    with pytest.raises(StoppedError):
        train(broken, observer, observer.stop)
    assert broken.state() == "paused"
    train(broken, checkpoint=last_checkpoint(broken))
    assert broken.state() == "finished"
    assert adapter_bytes(broken) == adapter_bytes(whole)
    optimizer = "checkpoints/000006/optimizer.safetensors"
    assert (broken.path / optimizer).read_bytes() == (whole.path / optimizer).read_bytes()
    accuracies = [
        {s: m["eval_accuracy"] for s, m in evaluations(r).items()} for r in (broken, whole)
    ]
    assert accuracies[0] == accuracies[1]
    assert steps(broken)[5]["reward"] == steps(whole)[5]["reward"]


class Counting(StopRequest):
    """Never asks for a stop, and counts how often it was asked."""

    asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return False


def test_nobody_asks_for_a_stop_between_a_steps_updates(create: Create) -> None:
    """A checkpoint would hold half a step. The rate is too small to change a completion."""
    asked = []
    for num_iterations in (1, 3):
        run = create(num_steps=2, num_iterations=num_iterations, learning_rate=1e-12)
        train(run, None, counting := Counting())
        asked.append(counting.asked)
    assert asked[0] == asked[1] > 20


def test_the_reference_is_the_base_model_or_the_start(create: Create) -> None:
    first = create(num_steps=4, eval_every=4, learning_rate=0.05)
    train(first)
    start = {"student_adapter": str(last_checkpoint(first)), "beta": 0.05, "num_steps": 2}
    to_base, to_start = (create(reference=name, **start) for name in ("base", "start"))
    train(to_base)
    train(to_start)
    assert steps(to_start)[1]["reference_kl"] == pytest.approx(0, abs=1e-6)
    assert steps(to_base)[1]["reference_kl"] > 1e-3
    assert steps(to_start)[2]["reference_kl"] > 1e-6


def test_a_strong_reference_holds_the_student_back(create: Create) -> None:
    free, held = (create(num_steps=8, eval_every=8, beta=beta) for beta in (1e-9, 20.0))
    train(free)
    train(held)
    assert steps(held)[8]["reference_kl"] < 0.5 * steps(free)[8]["reference_kl"]


def test_several_updates_clip_what_has_moved_far_enough(create: Create) -> None:
    run = create(num_steps=3, num_iterations=4, learning_rate=0.05, epsilon=0.1)
    train(run)
    assert any(metrics["clipped_high_share"] > 0 for metrics in steps(run).values())
    assert any(metrics["clipped_low_share"] > 0 for metrics in steps(run).values())
    once = create(num_steps=3, learning_rate=0.05, epsilon=0.1)
    train(once)
    assert all(metrics["clipped_high_share"] == 0 for metrics in steps(once).values())


def test_dead_groups_are_asked_something_else_as_often_as_allowed(create: Create) -> None:
    never, twice = (create(SOME_DEAD, max_resamples=number) for number in (0, 2))
    train(never)
    train(twice)
    dead = [sum(m["dead_share"] for m in steps(run).values()) for run in (never, twice)]
    assert dead[1] < dead[0]
    assert sum(m["resampled_groups"] for m in steps(twice).values()) > 0
    assert all(m["resampled_groups"] == 0 for m in steps(never).values())


def test_records_tell_reward_and_advantage_of_the_best_and_the_worst(create: Create) -> None:
    run = create(num_steps=1)
    train(run)
    lines = run.rollouts_file.read_text(encoding="utf-8").splitlines()
    best, worst, *_ = [RolloutRecord.model_validate_json(line) for line in lines]
    assert best.prompt == worst.prompt
    assert best.advantage > 0 > worst.advantage
    assert best.reward > worst.reward
    assert best.rewards == {"python": best.reward}
    assert best.reward == sum(map(str.isalpha, best.completion)) / 6
    assert best.divergence is None
    assert [event.reward for event in events(run, "rollout_sampled")][:2] == [
        best.reward,
        worst.reward,
    ]
    assert len(best.token_ids) == len(best.student_logprobs) == len(best.token_texts)


def test_what_the_users_reward_raises_ends_the_run_with_file_and_line(
    create: Create, classroom: Classroom
) -> None:
    run = create("def reward(completion):\n    return int(completion.text)\n")
    with pytest.raises(RunError, match="ValueError"):
        train(run)
    assert run.state() == "failed"
    (failed,) = events(run, "run_failed")
    assert f"{classroom.root / 'mine.py'}, line 2" in failed.message


def test_what_cannot_be_graded_is_counted_and_left_out(create: Create) -> None:
    run = create(
        "def reward(completion):\n    length = len(completion.text)\n"
        "    return None if length % 2 else length\n",
        num_steps=3,
    )
    train(run)
    assert any(0 < metrics["unscorable_share"] < 1 for metrics in steps(run).values())


def test_the_best_checkpoint_is_the_one_that_is_right_most_often(create: Create) -> None:
    run = create(
        num_steps=8, eval_every=2, checkpoint_every=8, learning_rate=0.03, num_completions=8
    )
    train(run)
    accuracy = {step: metrics["eval_accuracy"] for step, metrics in evaluations(run).items()}
    assert accuracy[8] > accuracy[0]
    best = pointed(run, "best")
    assert best is not None
    assert accuracy[int(best.name)] == max(accuracy.values())


def test_held_out_prompts_without_answers_are_refused_in_words(
    create: Create, classroom: Classroom
) -> None:
    run = create(rewards=[{"kind": "exact"}])
    with pytest.raises(DatasetError, match="None of the 6 held-out prompts"):
        train(run)


def test_the_students_answers_are_graded_by_the_prompts_own(
    create: Create, classroom: Classroom
) -> None:
    for name in ("prompts.jsonl", "validation.jsonl"):
        lines = [json.loads(line) for line in (classroom.root / name).read_text().splitlines()]
        answered = [json.dumps({**line, "answer": "x", "level": 3}) + "\n" for line in lines]
        (classroom.root / name).write_text("".join(answered))
    run = create(
        "def reward(completion):\n"
        "    return completion.extras['level'] if completion.answer == 'x' else 0\n",
        num_steps=1,
    )
    train(run)
    assert steps(run)[1]["reward"] == 3
