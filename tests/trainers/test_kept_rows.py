"""Rows that come again against top-k targets: which tokens of the student their targets hold."""

from dataclasses import replace
from typing import Protocol

import mlx.core as mx
import pytest

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.models.layout import output_head
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.optim.gradients import gradient_norm
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.teacher.scorer import EXACT
from OnPolicyDistill.trainers.on_policy import Pair, prepare
from OnPolicyDistill.training import student as student_module
from OnPolicyDistill.training.distillation import (
    complete_new,
    learn,
    likely_ids,
    objective_of,
    sample,
)
from OnPolicyDistill.training.rollouts import MicroBatch, rows_of_step
from OnPolicyDistill.training.work import begun


class Classroom(Protocol):
    def create(self, **settings: object) -> RunDirectory: ...


def sharper(head: VocabularyHead) -> VocabularyHead:
    return replace(head, weight=4 * head.weight)


def gradient_errors(pair: Pair, batch: MicroBatch) -> tuple[float, float]:
    """Errors of a step's gradient against exact targets: as taken, and with no student's ids."""
    teacher, student, num_tokens = pair.teacher, pair.student, batch.num_tokens
    objective = objective_of(pair.settings)
    targets = teacher.score([], batch.kept, EXACT)
    exact = learn(student, batch, targets, num_tokens, objective)[1]
    own_ids = [[list(top.ids) for top in rollout.top_logprobs] for rollout in batch.kept]
    blind_ids = mx.array([ids for rows in own_ids for ids in rows])
    found = []
    for ids in (likely_ids(student, batch.kept, teacher.form.top_k), blind_ids):
        targets = teacher.score([], batch.kept, kept_ids=ids)
        gradients = flat_arrays(learn(student, batch, targets, num_tokens, objective)[1])
        apart = {name: gradients[name] - array for name, array in flat_arrays(exact).items()}
        found.append(float(gradient_norm(dict(apart)) / gradient_norm(exact)))
    return found[0], found[1]


@pytest.mark.parametrize(("divergence", "limit"), [("reverse_kl", 0.05), ("jsd", 0.015)])
def test_top_k_of_the_teachers_own_rows_has_nearly_the_exact_gradient(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch, divergence: str, limit: float
) -> None:
    run = classroom.create(
        on_policy_fraction=0.0,
        teacher_targets="top_k",
        top_k=32,
        divergence=divergence,
        ce_weight=0.0,
        temperature=1.0,
    )
    with begun(run) as work:
        pair = prepare(work)
        # Four times sharper: the tiny models' distributions are flat, and k best hold little.
        monkeypatch.setattr(
            student_module, "output_head", lambda *model: sharper(output_head(*model))
        )
        pair.teacher.head = sharper(pair.teacher.head)
        rows = rows_of_step(pair.settings, pair.prompts, 1)
        complete_new(rows, pair.teacher, pair.store, pair.settings, work.hooks)
        (batch,) = sample(rows, pair.student, pair.teacher, pair.store, pair.settings, work.hooks)
        taken, blind = gradient_errors(pair, batch)
    assert taken < limit < blind
