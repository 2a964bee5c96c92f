"""A run against a scorer that is not exact: what it measures, and what is refused in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pytest

from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.evaluation.heldout import evaluate_student
from OnPolicyDistill.generation.request import NO_HOOKS
from OnPolicyDistill.runs.checkpoints import read_state
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished, SelfTestFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.scorer import Offer
from OnPolicyDistill.teacher.scoring import Teacher
from OnPolicyDistill.trainers import on_policy
from OnPolicyDistill.trainers.on_policy import Pair, prepare
from OnPolicyDistill.training.served import require_served
from OnPolicyDistill.training.work import Work, begun
from tests.few_logprobs import FewLogprobs

SERVED = {"temperature": 1.0, "teacher_targets": "top_k", "top_k": 8, "divergence": "forward_kl"}


class Classroom(Protocol):
    def create(self, **settings: object) -> RunDirectory: ...


def seen_through_few_logprobs(pair: Pair) -> Pair:
    assert isinstance(pair.teacher, Teacher)
    return replace(pair, teacher=FewLogprobs(pair.teacher, pair.teacher.form))


def trained(classroom: Classroom, steps: int) -> RunDirectory:
    run = classroom.create(
        **SERVED, learning_rate=0.01, ce_weight=0.0, num_steps=steps, eval_every=steps
    )
    on_policy.train(run)
    return run


@pytest.fixture
def exact(classroom: Classroom) -> RunDirectory:
    return trained(classroom, 1)


@pytest.fixture
def prepared() -> list[Pair]:
    """What runs were prepared with, before their teachers handed over few logprobs."""
    return []


@pytest.fixture
def few(
    classroom: Classroom,
    exact: RunDirectory,
    prepared: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> RunDirectory:
    def prepare_few(work: Work) -> Pair:
        prepared.append(prepare(work))
        return seen_through_few_logprobs(prepared[-1])

    monkeypatch.setattr(on_policy, "prepare", prepare_few)
    return trained(classroom, 1)


@pytest.fixture
def teacher(classroom: Classroom) -> Teacher:
    with begun(classroom.create(**SERVED)) as work:
        pair = prepare(work)
    assert isinstance(pair.teacher, Teacher)
    return pair.teacher


def evaluations(run: RunDirectory) -> list[EvaluationFinished]:
    return [e for e in read_events(run.events_file) if isinstance(e, EvaluationFinished)]


def test_evaluations_name_what_is_a_lower_bound_and_agree_in_what_is_exact(
    exact: RunDirectory, few: RunDirectory
) -> None:
    whole, bound = (evaluations(run)[0].metrics for run in (exact, few))
    for name in ("reverse_kl", "forward_kl", "teacher_entropy"):
        assert f"eval_{name}" not in bound
        assert 0 < bound[f"eval_{name}_bound"] < whole[f"eval_{name}"]
    for key in ("eval_agreement", "eval_top5_agreement", "eval_student_entropy"):
        assert bound[key] == pytest.approx(whole[key], abs=1e-6)
    assert set(bound) <= set(METRICS)


def test_the_bound_decides_which_checkpoint_is_best(few: RunDirectory) -> None:
    state = read_state(few.checkpoints / "best")
    (chosen,) = (event for event in evaluations(few) if event.step == state.best_step)
    assert state.best_metric == chosen.metrics["eval_reverse_kl_bound"]


def test_the_proof_holds_against_few_logprobs_and_says_that_it_measured_a_bound(
    exact: RunDirectory, few: RunDirectory
) -> None:
    whole, bound = (
        {check.name: check for check in event.checks}
        for run in (exact, few)
        for event in read_events(run.events_file)
        if isinstance(event, SelfTestFinished)
    )
    assert whole.keys() == bound.keys()
    assert "lower bound of the mean reverse KL" in bound["teacher_differs"].claim
    assert "lower bound" not in whole["teacher_differs"].claim
    measured, most = bound["teacher_differs"].measured, whole["teacher_differs"].measured
    assert measured is not None
    assert most is not None
    assert 0 < measured < most


def test_a_student_that_learns_from_few_logprobs_comes_nearer_to_the_whole_teacher(
    classroom: Classroom, exact: RunDirectory, few: RunDirectory, prepared: list[Pair]
) -> None:
    before, _ = evaluations(exact)
    trained(classroom, 12)
    taught = prepared[-1]
    student = taught.student
    after = evaluate_student(
        student.policy, student.head, taught.teacher, taught.held_out, NO_HOOKS
    )
    assert after.metrics["eval_forward_kl"] < 0.8 * before.metrics["eval_forward_kl"]


def test_a_local_teacher_serves_every_setting(teacher: Teacher) -> None:
    for changed in ({}, {"temperature": 3.0, "on_policy_fraction": 0.5}, {"top_k": 4096}):
        require_served(teacher, DistillationSettings.model_validate(changed), "distillation")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"temperature": 2.0}, "at temperature 1, so temperature must be 1"),
        ({"teacher_targets": "hidden_states"}, "so teacher_targets must be top_k"),
        ({"top_k": 9}, "8 logprobs a token at most, so top_k must be 8 or less"),
        ({"divergence": "jsd"}, "jsd has a wrong gradient, so divergence must be forward_kl or"),
        ({"on_policy_fraction": 0.5}, "so on_policy_fraction must be 1"),
        ({"keep_teacher_loaded": False}, "so keep_teacher_loaded must be true"),
    ],
)
def test_a_setting_that_a_scorer_cannot_serve_is_refused_by_its_name(
    teacher: Teacher, changed: dict[str, object], reason: str
) -> None:
    few = FewLogprobs(teacher, teacher.form)
    require_served(few, DistillationSettings.model_validate(SERVED), "distillation")
    settings = DistillationSettings.model_validate({**SERVED, **changed})
    with pytest.raises(ConfigError) as refused:
        require_served(few, settings, "distillation")
    (key,) = changed
    (location,) = refused.value.locations
    assert location[0] == f"distillation.{key}"
    assert reason in location[1]
    assert reason in refused.value.message
    assert f"Change distillation.{key}," in refused.value.action


def test_everything_that_cannot_be_served_is_said_at_once(teacher: Teacher) -> None:
    few = FewLogprobs(teacher, teacher.form)
    with pytest.raises(ConfigError) as refused:
        require_served(few, DistillationSettings(), "distillation")
    keys = [location.removeprefix("distillation.") for location, _ in refused.value.locations]
    assert keys == ["teacher_targets", "temperature", "divergence"]


def test_a_scorer_of_given_tokens_serves_the_reverse_kl(teacher: Teacher) -> None:
    few = FewLogprobs(teacher, teacher.form)
    given = Offer(is_exact=False, scores_given=True, completes=False)
    settings = DistillationSettings.model_validate({**SERVED, "divergence": "reverse_kl"})
    require_served(replace(few, offer=given), settings, "distillation")
