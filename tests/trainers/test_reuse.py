"""Rollouts that several steps learn from, and completions of which the first part is learned."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.errors import RunError, StoppedError
from OnPolicyDistill.runs.checkpoints import last_checkpoint, read_state
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished, RolloutRecord, StepFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.trainers.on_policy import train
from OnPolicyDistill.training.reuse import REUSED_FILE
from tests.described import assert_as_described
from tests.rounding import SAME_ADAPTER, parted
from tests.trainers.conftest import Classroom
from tests.trainers.test_on_policy import StopAfter


def steps(run: RunDirectory) -> list[dict[str, float]]:
    return [e.metrics for e in read_events(run.events_file) if isinstance(e, StepFinished)]


def evaluations(run: RunDirectory) -> list[dict[str, float]]:
    found = (e for e in read_events(run.events_file) if isinstance(e, EvaluationFinished))
    return [event.metrics for event in found]


def records(run: RunDirectory) -> list[RolloutRecord]:
    lines = run.rollouts_file.read_text().splitlines()
    return [RolloutRecord.model_validate_json(line) for line in lines]


def saved(run: RunDirectory, name: str) -> bytes:
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    return (checkpoint / name).read_bytes()


def adapter(run: RunDirectory, step: int) -> dict[str, mx.array]:
    loaded = mx.load(str(run.checkpoints / f"{step:06d}" / "adapters.safetensors"))
    assert isinstance(loaded, dict)
    return loaded


def test_rollouts_are_sampled_for_every_third_step_and_weighted_in_the_others(
    classroom: Classroom,
) -> None:
    run = classroom.create(rollout_reuse=3, num_steps=7, eval_every=7, checkpoint_every=1)
    train(run)
    tokens = [record.token_ids for record in records(run) if record.index == 0]
    assert tokens[0] == tokens[1] == tokens[2]
    assert tokens[3] == tokens[4] == tokens[5]
    assert len({tokens[0], tokens[3], tokens[6]}) == 3
    weighted = ["reuse_weight" in metrics for metrics in steps(run)]
    assert weighted == [False, True, True, False, True, True, False]
    assert ["sampling_tokens_per_second" in m for m in steps(run)] == [not w for w in weighted]
    assert all(0 < m["reuse_weight"] <= 2 for m in steps(run) if "reuse_weight" in m)
    assert any(m["reuse_weight"] != 1 for m in steps(run) if "reuse_weight" in m)
    assert_as_described(run)


def test_the_first_use_is_a_step_without_reuse_to_the_bit(classroom: Classroom) -> None:
    once, thrice = (
        classroom.create(num_steps=1, eval_every=1, rollout_reuse=uses) for uses in (1, 3)
    )
    train(once)
    train(thrice)
    name = "adapters.safetensors"
    assert saved(once, name) == saved(thrice, name)


def test_a_reusing_run_moves_towards_its_teacher(classroom: Classroom) -> None:
    run = classroom.create(
        rollout_reuse=4, num_steps=32, eval_every=32, temperature=1.0, batch_size=8, ce_weight=0.0
    )
    train(run)
    before, after = evaluations(run)
    assert after["eval_reverse_kl"] < 0.6 * before["eval_reverse_kl"]


def test_micro_batches_of_reused_rollouts_equal_one_batch(classroom: Classroom) -> None:
    common = {"rollout_reuse": 3, "num_steps": 3, "eval_every": 3, "checkpoint_every": 3}
    together = classroom.create(**common, batch_size=4, gradient_accumulation_steps=1)
    apart = classroom.create(**common, batch_size=1, gradient_accumulation_steps=4)
    train(together)
    train(apart)
    assert parted(adapter(apart, 3), adapter(together, 3)) < SAME_ADAPTER


@pytest.mark.parametrize(
    ("stopped_at", "settings"),
    [
        (3, {"rollout_reuse": 3}),
        (4, {"rollout_reuse": 3, "lora": {"rank": 4, "alpha": 8, "dropout": 0.1}}),
        (
            5,
            {"rollout_reuse": 3, "teacher_targets": "top_k", "top_k": 8, "loss_tokens": "auto"},
        ),
    ],
)
def test_a_run_stopped_between_two_uses_resumes_to_the_same_bytes(
    classroom: Classroom, stopped_at: int, settings: dict[str, object]
) -> None:
    whole, broken = classroom.create(**settings), classroom.create(**settings)
    train(whole)
    observer = StopAfter(stopped_at)
    with pytest.raises(StoppedError):
        train(broken, observer, observer.stop)
    checkpoint = last_checkpoint(broken)
    assert checkpoint is not None
    assert checkpoint.name == f"{stopped_at:06d}"
    assert (checkpoint / REUSED_FILE).exists() == (stopped_at % 3 != 0)
    train(broken, checkpoint=checkpoint)
    for name in ("adapters.safetensors", "optimizer.safetensors"):
        assert saved(broken, name) == saved(whole, name)
    assert evaluations(broken) == evaluations(whole)


def test_a_checkpoint_without_its_rollouts_is_refused_in_words(classroom: Classroom) -> None:
    run = classroom.create(rollout_reuse=3)
    observer = StopAfter(4)
    with pytest.raises(StoppedError):
        train(run, observer, observer.stop)
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    (checkpoint / REUSED_FILE).write_text("[1]")
    with pytest.raises(RunError, match=r"rollouts of .* cannot be read"):
        train(run, checkpoint=checkpoint)


@pytest.mark.parametrize("limit", [3, "30%"])
def test_completions_are_sampled_as_far_as_they_are_learned_and_measured_whole(
    classroom: Classroom, limit: object
) -> None:
    run = classroom.create(loss_tokens=limit, num_steps=2, eval_every=2)
    train(run)
    assert max(len(record.token_ids) for record in records(run)) == 3
    assert all(metrics["completion_tokens"] <= 3 for metrics in steps(run))
    assert all(metrics["truncated_share"] == 0 for metrics in steps(run))
    assert all(metrics["eval_completion_tokens"] > 3 for metrics in evaluations(run))


@pytest.mark.parametrize("settings", [{}, {"fixed_rollouts": True, "on_policy_fraction": 0.5}])
def test_nothing_behind_the_limit_changes_what_is_learned(
    classroom: Classroom, settings: dict[str, object]
) -> None:
    """A longest completion of as many tokens teaches the same."""
    limited = classroom.create(loss_tokens=3, num_steps=2, eval_every=2, **settings)
    short = classroom.create(max_generation_tokens=3, num_steps=2, eval_every=2, **settings)
    train(limited)
    train(short)
    assert saved(limited, "adapters.safetensors") == saved(short, "adapters.safetensors")


def test_auto_learns_as_far_as_the_last_evaluation_found_it_to_pay(classroom: Classroom) -> None:
    run = classroom.create(loss_tokens="auto", num_steps=4, eval_every=2)
    train(run)
    chosen = [int(metrics["eval_loss_tokens"]) for metrics in evaluations(run)]
    assert all(1 <= tokens <= 8 for tokens in chosen)
    longest = {1: 0, 2: 0, 3: 0, 4: 0}
    for record in records(run):
        longest[record.step] = max(longest[record.step], len(record.token_ids))
    assert max(longest[1], longest[2]) <= chosen[0]
    assert max(longest[3], longest[4]) <= chosen[1]
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    assert read_state(checkpoint).loss_tokens == chosen[-1]
    assert_as_described(run)


def test_auto_stops_where_teacher_and_student_part_no_more(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completions are whole before the first evaluation has spoken, and cut behind it."""
    monkeypatch.setattr("OnPolicyDistill.training.distillation.flattened_at", lambda _: 2)
    run = classroom.create(loss_tokens="auto", num_steps=2, eval_every=2)
    train(run)
    assert {metrics["eval_loss_tokens"] for metrics in evaluations(run)} == {2.0}
    assert all(metrics["completion_tokens"] <= 2 for metrics in steps(run))


def test_kept_completions_are_cut_where_auto_says(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("OnPolicyDistill.training.distillation.flattened_at", lambda _: 2)
    run = classroom.create(
        loss_tokens="auto", num_steps=2, eval_every=2, fixed_rollouts=True, on_policy_fraction=0.5
    )
    train(run)
    assert all(metrics["completion_tokens"] <= 2 for metrics in steps(run))
    kept = Path(run.path / "completions.jsonl").read_text().splitlines()
    assert max(len(json.loads(line)["rollout"]["completion_ids"]) for line in kept) > 2


def test_the_teachers_own_completions_grow_again_with_what_auto_finds(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts that were met while two tokens paid are learned further once more do."""
    found = iter([2, 6, 6])
    monkeypatch.setattr("OnPolicyDistill.training.distillation.flattened_at", lambda _: next(found))
    run = classroom.create(loss_tokens="auto", num_steps=8, eval_every=4, on_policy_fraction=0.0)
    train(run)
    assert all(metrics["completion_tokens"] <= 2 for metrics in steps(run)[:4])
    assert all(2 < metrics["completion_tokens"] <= 6 for metrics in steps(run)[4:])
