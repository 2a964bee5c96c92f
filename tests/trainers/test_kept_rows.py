"""Rows that come again against top-k targets: which tokens of the student their targets hold."""

from dataclasses import replace
from typing import Protocol

import mlx.core as mx
import pytest

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.optim.gradients import gradient_norm
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Reporter, StopRequest
from OnPolicyDistill.teacher.scoring import EXACT
from OnPolicyDistill.trainers import distilling
from OnPolicyDistill.trainers.distilling import MicroBatch, differentiate
from OnPolicyDistill.trainers.lesson import Lesson, prepare_lesson


class Classroom(Protocol):
    def create(self, **settings: object) -> RunDirectory: ...


def sharper(head: VocabularyHead) -> VocabularyHead:
    return replace(head, weight=4 * head.weight)


def gradient_errors(lesson: Lesson, micro: MicroBatch) -> tuple[float, float]:
    """Errors of a step's gradient against exact targets: as taken, and with no student's ids."""
    teacher, normalizer = lesson.teacher, micro.num_tokens
    exact = differentiate(lesson, micro, teacher.score([], micro.kept, EXACT), normalizer)[1]
    own_ids = [[list(top.ids) for top in rollout.top_logprobs] for rollout in micro.kept]
    blind_ids = mx.array([ids for rows in own_ids for ids in rows])
    found = []
    for ids in (distilling._likely_ids(lesson, micro.kept), blind_ids):
        targets = teacher.score([], micro.kept, kept_ids=ids)
        gradients = flat_arrays(differentiate(lesson, micro, targets, normalizer)[1])
        apart = {name: gradients[name] - array for name, array in flat_arrays(exact).items()}
        found.append(float(gradient_norm(dict(apart)) / gradient_norm(exact)))
    return found[0], found[1]


@pytest.mark.parametrize(("divergence", "limit"), [("reverse_kl", 0.05), ("jsd", 0.015)])
def test_top_k_of_the_teachers_own_rows_has_nearly_the_exact_gradient(
    classroom: Classroom, divergence: str, limit: float
) -> None:
    run = classroom.create(
        on_policy_fraction=0.0,
        teacher_targets="top_k",
        top_k=32,
        divergence=divergence,
        ce_weight=0.0,
        temperature=1.0,
    )
    reporter = Reporter(run)
    lesson = prepare_lesson(run, reporter, StopRequest())
    reporter.close()
    # Four times sharper: the tiny models' distributions are flat, and k best hold little of them.
    lesson = replace(lesson, head=sharper(lesson.head))
    lesson.teacher.head = sharper(lesson.teacher.head)
    (micro,) = distilling._choose_completions(lesson, 1)
    taken, blind = gradient_errors(lesson, micro)
    assert taken < limit < blind
