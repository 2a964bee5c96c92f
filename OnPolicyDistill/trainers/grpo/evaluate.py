"""Held-out accuracy and reward: what greedy completions of the student are worth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.evaluation.heldout import HeldOut, complete
from OnPolicyDistill.evaluation.intervals import Measured, mean_interval, measure
from OnPolicyDistill.generation.request import GenerationHooks
from OnPolicyDistill.generation.sampling import GREEDY
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.optim.stopping import Verdict
from OnPolicyDistill.rewards.chosen import RIGHT, ChosenReward, Grades, grade_all
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.runs.held_out_answers import first_of
from OnPolicyDistill.runs.prompt_values import PromptValues
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.training.completions import completion_of
from OnPolicyDistill.training.work import Work


def evaluate(
    work: Work,
    policy: Policy,
    held_out: HeldOut,
    rewards: Sequence[ChosenReward],
    settings: GrpoSettings,
) -> Verdict:
    """Measure the student on held-out prompts and judge where the run stands.

    Raises:
        DatasetError: no held-out prompt can be graded right or wrong.
    """
    work.reporter.phase("evaluating", held_out.in_words)
    started = time.perf_counter()
    measured = measure_accuracy(policy, held_out, rewards, settings, work.hooks)
    measured.metrics["eval_seconds"] = time.perf_counter() - started
    key = work.best_metric
    verdict = work.judge(measured, key)
    work.alarms.after_evaluation(work.state.evaluations_since_best, key, measured.metrics)
    return verdict


def measure_accuracy(
    policy: Policy,
    held_out: HeldOut,
    rewards: Sequence[ChosenReward],
    settings: GrpoSettings,
    hooks: GenerationHooks,
) -> Measured:
    """Accuracy by the first reward that knows right from wrong, and the mean reward.

    Raises:
        DatasetError: no held-out prompt can be graded right or wrong.
    """
    rollouts = complete(policy, held_out, GREEDY, hooks)
    completions = [
        completion_of(policy, prompt, rollout, held_out.max_tokens)
        for prompt, rollout in zip(held_out.prompts, rollouts, strict=True)
    ]
    grades = grade_all(rewards, completions)
    marks = tuple(
        None if grade is None else float(grade >= RIGHT)
        for grade in grades.by_kind[settings.grading_kind]
    )
    if all(mark is None for mark in marks):
        raise DatasetError(
            f"None of the {len(marks)} held-out prompts can be graded by {settings.grading_kind}.",
            'Write "answer" into the lines of the validation file.',
        )
    cut = tuple(float(rollout.finish_reason == "length") for rollout in rollouts)
    values = PromptValues(
        prompts=tuple(prompt.index for prompt in held_out.prompts),
        tokens=tuple(len(rollout.completion_ids) for rollout in rollouts),
        token_sums={},
        shares={"eval_accuracy": marks, "eval_truncated_share": cut},
        num_available=held_out.num_available,
    )
    shown = (
        (prompt.index, prompt.text, prompt.answer, completion.text, mark)
        for prompt, completion, mark in zip(held_out.prompts, completions, marks, strict=True)
    )
    measured = _with_means(measure(values, settings.seed), grades, rollouts, settings.seed)
    return replace(measured, answers=first_of(shown))


def _with_means(
    measured: Measured, grades: Grades, rollouts: Sequence[Rollout], seed: int
) -> Measured:
    """Add the mean reward and length, with intervals, and how many prompts were graded."""
    metrics, intervals = {**measured.metrics}, {**measured.intervals}
    graded = [mark for mark in measured.values.shares["eval_accuracy"] if mark is not None]
    metrics["eval_num_graded"] = float(len(graded))
    columns = {
        "eval_reward": [total for total in grades.totals if total is not None],
        "eval_completion_tokens": [float(len(rollout.completion_ids)) for rollout in rollouts],
    }
    for key, values in columns.items():
        metrics[key] = float(np.mean(values))
        interval = mean_interval(np.array(values, float), seed)
        if interval is not None:
            intervals[key] = interval
    return Measured(metrics, intervals, measured.values)
