"""The plan of several machines: a step is its slowest rank's share and one sum over the link."""

from __future__ import annotations

import pytest

from OnPolicyDistill.config import RunConfig, parse_config
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.planning.ranks import (
    ASSUMED_MB_PER_SECOND,
    Link,
    RankMachine,
    plan_several,
)

MAX = RankMachine("max", "m4-max", 128, 1250, 0.5)
SLOW = RankMachine("slow", "m4", 32, 1250, 0.5)


def config(**settings: object) -> RunConfig:
    models = {"teacher_model": "qwen3-8b", "student_model": "qwen3-4b"}
    return parse_config({"distillation": {**models, "grad_checkpoint": True, **settings}})


def test_one_machine_of_several_is_planned_as_a_machine_alone() -> None:
    alone = plan_run(config(), 128, "m4-max")
    one = plan_several(config(), [MAX, MAX]).counts[0]
    assert one.num_ranks == 1
    assert one.seconds == pytest.approx(alone.seconds, rel=1e-3)
    assert one.step_seconds == alone.step.total
    assert (one.waiting_seconds, one.gain) == (0, 1)


def test_a_step_is_the_slowest_ranks_share_and_the_sum() -> None:
    found = plan_several(config(), [MAX, SLOW])
    two = found.of_all_hosts
    fast, slow = two.ranks
    assert slow.seconds > 2 * fast.seconds
    assert two.step_seconds == pytest.approx(slow.seconds + two.waiting_seconds, abs=2e-3)
    assert two.gain < 1, "half of a step takes an M4 longer than all of it an M4 Max"


def test_what_is_added_up_is_the_adapters_gradient_in_float32_and_the_loss() -> None:
    found = plan_several(config(), [MAX, MAX])
    weights = plan_run(config(), 128, "m4-max").adapter_parameters
    assert found.summed_mb == pytest.approx(4 * (weights + 1) / 1e6, abs=1e-3)
    larger = plan_several(config(lora={"rank": 64}), [MAX, MAX])
    assert larger.summed_mb == pytest.approx(4 * found.summed_mb, rel=1e-3)


def test_every_update_of_grpo_adds_up_once() -> None:
    def summed(updates: int) -> float:
        grpo = {"model": "qwen3-4b", "num_iterations": updates, "rewards": [{"kind": "exact"}]}
        return plan_several(parse_config({"grpo": grpo}), [MAX, MAX]).summed_mb

    assert summed(3) == pytest.approx(3 * summed(1), rel=1e-4)


@pytest.mark.parametrize(
    ("ranks", "seconds"),
    # 100 MB at 100 MB/s, 2 ms there and back: each of 2 (n - 1) messages waits for half of that.
    [(1, 0.0), (2, 1.002), (4, 1.506)],
)
def test_a_sum_round_a_ring_by_hand(ranks: int, seconds: float) -> None:
    assert Link(100, 2).sum_seconds(100e6, ranks) == pytest.approx(seconds)


def test_the_slowest_link_decides_and_one_without_a_speed_is_a_gigabit() -> None:
    unknown = RankMachine("unknown", "m4-max", 128)
    found = plan_several(config(), [MAX, MAX, unknown])
    assert found.mb_per_second == ASSUMED_MB_PER_SECOND
    assert any("gigabit" in note for note in found.notes)
    assert [one.num_ranks for one in found.counts] == [1, 2, 3, 4]
    assert not any("gigabit" in n for n in plan_several(config(), [MAX, MAX]).notes)


def test_a_rank_needs_less_where_its_share_is_smaller_but_never_less_than_the_models() -> None:
    one, two, four = plan_several(config(), [MAX, MAX]).counts
    needs = [plan.ranks[0].needed_gb for plan in (one, two, four)]
    assert needs == sorted(needs, reverse=True)
    plan = plan_run(config(), 128, "m4-max")
    assert needs[-1] > plan.parts["teacher"] + plan.parts["student"]


def test_evaluations_are_not_dealt_out_and_take_the_first_host_as_long_as_alone() -> None:
    alone = plan_run(config(), 128, "m4-max")
    shared = plan_run(config(), 128, "m4-max", own_prompts=2)
    assert shared.step.evaluation == alone.step.evaluation
    assert shared.step.total < alone.step.total


def test_ranks_without_prompts_are_told_and_cost_no_time() -> None:
    found = plan_several(config(batch_size=2, gradient_accumulation_steps=1), [MAX, MAX])
    four = found.counts[-1]
    assert [rank.num_prompts for rank in four.ranks] == [1, 1, 0, 0]
    assert four.ranks[-1].seconds == 0
    assert any("A step has 2 prompts" in note for note in found.notes)


def test_one_machine_that_is_too_small_makes_the_run_too_large() -> None:
    found = plan_several(config(), [MAX, RankMachine("tiny", "m4", 16)])
    assert found.counts[0].verdict == "fits"
    assert found.of_all_hosts.verdict == "does_not_fit"
    assert [rank.verdict for rank in found.of_all_hosts.ranks] == ["fits", "does_not_fit"]


def test_a_teacher_in_shards_fits_where_a_whole_one_does_not_and_waits_for_the_link() -> None:
    small = RankMachine("small", "m4-max", 80, 1250, 0.5)
    pair: dict[str, object] = {
        "teacher_model": "qwen2.5-32b",
        "student_model": "qwen2.5-7b",
        "batch_size": 2,
    }
    pair["gradient_accumulation_steps"] = 4
    whole = plan_several(config(**pair), [small, small]).of_all_hosts
    found = plan_several(config(**pair, teacher_shards=2), [small, small])
    one, two, four = found.counts
    assert whole.verdict == one.verdict == "does_not_fit"
    assert two.verdict == "fits"
    needs = [plan.ranks[0].needed_gb for plan in (one, two, four)]
    # 64 layers of 487 million weights in 16 bit; the rest is on every rank.
    layers = 64 * 0.487 * 2
    assert needs[0] - needs[1] == pytest.approx(layers / 2, rel=0.05)
    assert needs[0] - needs[2] == pytest.approx(layers * 3 / 4, rel=0.05)
    # Two sums a layer of 5120 numbers of 2 bytes for each token of the step, over 1250 MB/s.
    completions = 8 * 512
    assert two.waiting_seconds - whole.waiting_seconds > 128 * completions * 10_240 / 1250e6
