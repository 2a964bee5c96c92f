"""What an evaluation does to a run whose metric is better the higher it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from OnPolicyDistill.config import OnPolicyConfig, settings_of
from OnPolicyDistill.errors import DivergedError
from OnPolicyDistill.evaluation.intervals import measure
from OnPolicyDistill.optim.stopping import Verdict
from OnPolicyDistill.runs.checkpoints import TrainingState
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.prompt_values import PromptValues
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.training.between_steps import take_evaluation

NUM_PROMPTS = 20
START = TrainingState(step=0, config_hash="", seed=0, data_cursor=0, num_tokens=0)


@pytest.fixture
def reporter(tmp_path: Path) -> Iterator[Reporter]:
    reporter = Reporter(create_run(tmp_path, OnPolicyConfig()))
    yield reporter
    reporter.close()


def accuracy(num_right: int) -> PromptValues:
    marks = (1.0,) * num_right + (0.0,) * (NUM_PROMPTS - num_right)
    return PromptValues(
        prompts=tuple(range(NUM_PROMPTS)),
        tokens=(1,) * NUM_PROMPTS,
        token_sums={},
        shares={"eval_accuracy": marks},
    )


def agreement(share: float) -> PromptValues:
    return PromptValues(
        prompts=tuple(range(NUM_PROMPTS)),
        tokens=(10,) * NUM_PROMPTS,
        token_sums={"eval_agreement": (10 * share,) * NUM_PROMPTS},
    )


def taken(
    reporter: Reporter, key: str, evaluations: list[PromptValues]
) -> tuple[TrainingState, list[Verdict]]:
    """Take one evaluation a step, with a patience of two."""
    settings = settings_of(OnPolicyConfig()).model_copy(update={"early_stop_patience": 2})
    state, verdicts = START, []
    for step, values in enumerate(evaluations):
        measured = measure(values, 0)
        state = state.model_copy(update={"step": step})
        state, verdict = take_evaluation(reporter, state, measured, key, settings)
        verdicts.append(verdict)
    return state, verdicts


def test_best_is_the_highest_where_the_metric_says_that_higher_is_better(
    reporter: Reporter,
) -> None:
    values = [agreement(share) for share in (0.5, 0.8, 0.6)]
    state, verdicts = taken(reporter, "eval_agreement", values)
    assert verdicts == ["improved", "improved", "waiting"]
    assert (state.best_step, state.best_metric) == (1, pytest.approx(0.8))
    assert (state.leading_step, state.leading_metric) == (1, pytest.approx(0.8))
    history = fold(read_events(reporter.run.events_file))
    assert history.best is not None
    assert history.best.step == 1
    assert [event.improved for event in history.evaluations] == [True, True, False]


def test_a_share_of_prompts_can_decide_and_its_rise_ends_no_patience(reporter: Reporter) -> None:
    values = [accuracy(num_right) for num_right in (4, 12, 18, 17, 17)]
    state, verdicts = taken(reporter, "eval_accuracy", values)
    assert verdicts == ["improved", "improved", "improved", "equal", "plateau"]
    assert state.best_step == 4


def test_a_run_whose_accuracy_falls_below_half_of_its_start_diverges_in_words(
    reporter: Reporter,
) -> None:
    values = [accuracy(num_right) for num_right in (16, 4, 4)]
    said = r"Task accuracy, held out, is 0\.2 after 2 steps, and it began at 0\.8"
    with pytest.raises(DivergedError, match=said):
        taken(reporter, "eval_accuracy", values)
