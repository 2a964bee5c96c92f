"""Groups of a step: whom they ask, what they are compared by, and which rows are learned from."""

from __future__ import annotations

import pytest

from OnPolicyDistill.rewards.chosen import Grades
from OnPolicyDistill.rollout import EncodedPrompt, Rollout
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.trainers.grpo.groups import (
    Asked,
    Group,
    asked_anew,
    asked_in_step,
    compare,
    micro_batches,
    put_in,
)

PROMPTS = [EncodedPrompt(index, (1, 2), f"prompt {index}") for index in range(6)]


def group(number: int, *rewards: float | None, lengths: tuple[int, ...] = (3, 4)) -> Group:
    rollouts = tuple(
        Rollout(number, (1, 2), (5,) * length, (-1.0,) * length, "stop" if length < 9 else "length")
        for length in lengths
    )
    return Group(Asked(number, PROMPTS[number]), rollouts, Grades({"exact": rewards}, rewards))


def of(**settings: object) -> GrpoSettings:
    values = {"num_completions": 2, "batch_size": 1, "gradient_accumulation_steps": 2, **settings}
    return GrpoSettings.model_validate(values)


LIVING, DEAD, UNGRADED = group(0, 1.0, 0.0), group(1, 0.7, 0.7), group(2, 0.7, None)


def test_a_group_without_a_difference_or_with_one_grade_is_dead() -> None:
    assert [one.is_dead for one in (LIVING, DEAD, UNGRADED)] == [False, True, True]


def test_dead_groups_are_left_out_of_the_pass_and_stay_in_the_denominator() -> None:
    settings = of()
    batches = micro_batches([DEAD, LIVING], compare([DEAD, LIVING], settings), settings)
    assert [[row.rollout for row in batch] for batch in batches] == [list(LIVING.rollouts)]
    assert {row.weight for row in batches[0]} == {1 / 14}
    assert micro_batches([DEAD], compare([DEAD], settings), settings) == []


@pytest.mark.parametrize("settings", [of(beta=0.1), of(skip_dead_groups=False)])
def test_they_are_passed_where_a_kl_pulls_at_them_or_the_settings_want_it(
    settings: GrpoSettings,
) -> None:
    batches = micro_batches([DEAD, LIVING], compare([DEAD, LIVING], settings), settings)
    assert [len(batch) for batch in batches] == [2, 2]
    assert [row.advantage for row in batches[0]] == [0.0, 0.0]


def test_masked_completions_give_neither_rows_nor_tokens() -> None:
    cut = group(0, 1.0, 0.0, lengths=(3, 9))
    settings = of(mask_truncated=True)
    ((row,),) = micro_batches([cut], compare([cut], settings), settings)
    assert (row.rollout.finish_reason, row.weight) == ("stop", 1 / 3)
    assert row.advantage > 0  # the cut one still counts in what it is compared with


def test_dead_groups_ask_other_prompts_than_the_step_has() -> None:
    groups = [LIVING, DEAD, UNGRADED]
    anew = asked_anew(of(), PROMPTS, groups)
    assert [asked.number for asked in anew] == [1, 2]
    assert [asked.attempt for asked in anew] == [1, 1]
    indices = {asked.prompt.index for asked in anew}
    assert len(indices) == 2
    assert not indices & {0, 1, 2}
    assert anew == asked_anew(of(), PROMPTS, groups)
    assert asked_anew(of(), PROMPTS[:3], groups) == []


def test_what_was_asked_anew_stands_in_the_place_of_what_was_dead() -> None:
    better = group(1, 0.0, 1.0)
    assert put_in([LIVING, DEAD], [better]) == [LIVING, better]


def test_a_step_follows_from_its_number() -> None:
    settings = of()
    seen = [asked for step in (1, 2, 3) for asked in asked_in_step(settings, PROMPTS, step)]
    assert [asked.number for asked in seen] == list(range(6))
    assert {asked.prompt.index for asked in seen} == set(range(6))
    assert asked_in_step(settings, PROMPTS, 2) == seen[2:4]


def test_shuffled_rewards_are_the_same_rewards_in_their_group() -> None:
    groups = [group(number, 1.0, 0.0, lengths=(3, 4)) for number in range(6)]
    plain, dealt = (compare(groups, of(shuffle_rewards=flag)) for flag in (False, True))
    pairs = [tuple(sorted(dealt.values[place : place + 2])) for place in range(0, 12, 2)]
    assert pairs == [tuple(sorted(plain.values[:2]))] * 6
    assert dealt.values != plain.values
    assert dealt == compare(groups, of(shuffle_rewards=True))
