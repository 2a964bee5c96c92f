"""The groups of a step: which prompts are asked, what the student says, and how it is graded.

Every group of a run has a number, from 0; it decides the group's prompt and, with the place in the
group, each completion's random seed. A resumed run needs no more than the number of its step. A
group that was dead and is asked anew takes another prompt, drawn by the same number.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from OnPolicyDistill.datasets.order import row_at
from OnPolicyDistill.distributed.ranks import this_process
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.losses.advantages import Advantages, advantages_of
from OnPolicyDistill.losses.grpo import row_weights
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rewards.chosen import ChosenReward, Grades, grade_all
from OnPolicyDistill.rollout import EncodedPrompt, Rollout
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.training.completions import completion_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt that a group answers: the group's number in the run, and which try of it this is."""

    number: int
    prompt: EncodedPrompt
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The rollouts of one prompt with their grades, in the same order."""

    asked: Asked
    rollouts: tuple[Rollout, ...]
    grades: Grades

    @property
    def is_dead(self) -> bool:
        """Whether its rewards say nothing: all equal, or fewer than two of them."""
        return all(advantages_of(self.grades.totals, len(self.rollouts)).is_dead)


GROUPS = TypeAdapter(list[Group])


@dataclass(frozen=True, slots=True)
class WeightedRow:
    """A rollout as the loss needs it: its advantage, and the weight of each of its tokens."""

    rollout: Rollout
    advantage: float
    weight: float


def asked_in_step(
    settings: GrpoSettings, prompts: Sequence[EncodedPrompt], step: int
) -> list[Asked]:
    """Prompts of step `step` (from 1): every prompt once an epoch, each epoch in a new order."""
    size = settings.rows_per_step
    numbers = range((step - 1) * size, step * size)
    return [Asked(n, prompts[row_at(n, len(prompts), settings.seed)]) for n in numbers]


def asked_anew(
    settings: GrpoSettings, prompts: Sequence[EncodedPrompt], groups: Sequence[Group]
) -> list[Asked]:
    """Other prompts for the groups that are dead, none of them in the step already."""
    taken = {group.asked.prompt.index for group in groups}
    anew = []
    for asked in (group.asked for group in groups if group.is_dead):
        free = [prompt for prompt in prompts if prompt.index not in taken]
        if not free:
            break
        attempt = asked.attempt + 1
        drawn = derive_seed(settings.seed, f"prompt_anew_{attempt}", asked.number) % len(free)
        taken.add(free[drawn].index)
        anew.append(Asked(asked.number, free[drawn], attempt))
    return anew


def sample(
    policy: Policy, asked: Sequence[Asked], settings: GrpoSettings, hooks: GenerationHooks
) -> list[tuple[Rollout, ...]]:
    """Complete every prompt `num_completions` times, all of them side by side."""
    K = settings.num_completions
    rows = [(one, place) for one in asked for place in range(K)]
    request = GenerationRequest(
        prompts=[one.prompt.ids for one, _ in rows],
        seeds=[_seed(settings, one, place) for one, place in rows],
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=settings.max_generation_tokens,
        sampling=SamplingSettings(temperature=settings.temperature),
        max_rows=settings.completions_per_step,
    )
    found = [
        replace(rollout, prompt_index=one.prompt.index)
        for (one, _), rollout in zip(rows, generate(policy.model, request, hooks), strict=True)
    ]
    return [tuple(found[start : start + K]) for start in range(0, len(found), K)]


def _seed(settings: GrpoSettings, asked: Asked, place: int) -> int:
    purpose = "rollout" if asked.attempt == 0 else f"rollout_anew_{asked.attempt}"
    return derive_seed(settings.seed, purpose, asked.number * settings.num_completions + place)


def grade(
    policy: Policy,
    asked: Sequence[Asked],
    sampled: Sequence[tuple[Rollout, ...]],
    rewards: Sequence[ChosenReward],
    max_tokens: int,
) -> list[Group]:
    """Grade every rollout once, by every reward.

    Raises:
        RunError: a user's reward failed.
    """
    groups = []
    for one, rollouts in zip(asked, sampled, strict=True):
        completions = [completion_of(policy, one.prompt, r, max_tokens) for r in rollouts]
        groups.append(Group(one, rollouts, grade_all(rewards, completions)))
    return groups


def put_in(groups: Sequence[Group], anew: Sequence[Group]) -> list[Group]:
    """The step's groups with those that were asked anew in the places of their numbers."""
    found = {group.asked.number: group for group in (*groups, *anew)}
    return [found[number] for number in sorted(found)]


def compare(groups: Sequence[Group], settings: GrpoSettings) -> Advantages:
    """Advantages of a step's rollouts, group by group; of shuffled rewards where that is wanted."""
    totals: list[float | None] = []
    for group in groups:
        dealt = list(group.grades.totals)
        if settings.shuffle_rewards:
            seed = derive_seed(settings.seed, f"shuffled_{group.asked.attempt}", group.asked.number)
            random.Random(seed).shuffle(dealt)
        totals += dealt
    return advantages_of(totals, settings.num_completions, settings.scale_rewards)


def micro_batches(
    groups: Sequence[Group], advantages: Advantages, settings: GrpoSettings
) -> list[list[WeightedRow]]:
    """The rows that this rank learns from, `batch_size` groups a micro-batch, none of them empty.

    `groups` and weights are of the whole step. What has no gradient is left out: rows that do not
    count, and, unless the settings want it otherwise, dead groups where no KL pulls at them.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    counts = [
        not (settings.mask_truncated and rollout.finish_reason == "length") for rollout in rollouts
    ]
    lengths = [len(rollout.completion_ids) for rollout in rollouts]
    weights = row_weights(lengths, counts, settings.loss_type, settings.max_generation_tokens)
    own = this_process().own(range(len(groups)))
    leaves_out = settings.skip_dead_groups and settings.beta == 0
    size, K = settings.batch_size, settings.num_completions
    batches = []
    for start in range(0, len(own), size):
        places = [group * K + place for group in own[start : start + size] for place in range(K)]
        batches.append(
            [
                WeightedRow(rollouts[place], advantages.values[place], weights[place])
                for place in places
                if counts[place] and not (leaves_out and advantages.is_dead[place])
            ]
        )
    return [batch for batch in batches if batch]
