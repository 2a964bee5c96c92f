"""What scorers say of themselves before they score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from OnPolicyDistill.errors import PairError, RunError
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.planning.pair import PairReport, check_pair
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.prompted import PromptedTeacher
from OnPolicyDistill.teacher.scorer import (
    EXACT,
    LocalModel,
    Offer,
    Scorer,
    TargetForm,
    finest_form,
    shared_vocab_size,
)
from OnPolicyDistill.teacher.scoring import Teacher
from tests.few_logprobs import FewLogprobs

FOUR_AT_ONE = TargetForm("top_k", 4, 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tokenizer(tmp_path, ["some words to learn"] * 2, 280)
    write_random_model(tmp_path, TinyShape(32, 2, 2, 1, 64, 288, True), 0)
    return tmp_path


def test_a_local_teacher_offers_everything_and_its_own_completions_until_it_is_unloaded(
    folder: Path,
) -> None:
    teacher = Teacher(load_policy(str(folder)), TeacherCache(0), TargetForm("top_k", 4, 2.0))
    scorer: Scorer = teacher
    assert scorer.offer == Offer(is_exact=True, scores_given=True, completes=True)
    assert finest_form(scorer) == EXACT
    teacher.unload()
    assert scorer.offer == Offer(is_exact=True, scores_given=True, completes=False)
    assert not scorer.is_loaded


def test_a_prompted_teacher_scores_exactly_and_writes_nothing(folder: Path) -> None:
    teacher = Teacher(load_policy(str(folder)), TeacherCache(0), EXACT)
    scorer: Scorer = PromptedTeacher(teacher, {(5, 6): (7, 5, 6)})
    assert scorer.offer == Offer(is_exact=True, scores_given=True, completes=False)
    assert scorer.is_loaded
    assert (scorer.form, scorer.compresses_anew()) == (EXACT, False)
    with pytest.raises(RunError, match="writes no completions"):
        _ = scorer.policy


def test_a_scorer_without_hidden_states_is_measured_by_what_the_run_learns_from(
    folder: Path,
) -> None:
    behind = Teacher(load_policy(str(folder)), TeacherCache(0), EXACT)
    assert finest_form(FewLogprobs(behind, FOUR_AT_ONE)) == FOUR_AT_ONE


@dataclass(frozen=True)
class Elsewhere:
    """A scorer that has no files here: it answers with a report of its own."""

    report: PairReport
    name: str = "http://elsewhere"

    def compare_tokens(self, student: Path) -> PairReport:
        return self.report


def test_which_tokens_are_spoken_is_asked_of_whoever_will_score(folder: Path) -> None:
    local = LocalModel("small", folder)
    same = check_pair(folder, folder)
    assert shared_vocab_size(local, local, "") == same.shared_vocab_size
    fewer = same.model_copy(update={"shared_vocab_size": 17})
    assert shared_vocab_size(local, Elsewhere(fewer), "") == 17
    wrong = same.model_copy(update={"verdict": "mismatch", "summary": "Its row reads otherwise."})
    with pytest.raises(PairError) as refused:
        shared_vocab_size(local, Elsewhere(wrong), "Take another.")
    expected = "small cannot learn from http://elsewhere: Its row reads otherwise."
    assert (refused.value.message, refused.value.action) == (expected, "Take another.")
