"""Verdicts on evaluations: only what a paired interval shows is a difference."""

from OnPolicyDistill.optim.stopping import Evaluated, Progress, judge
from OnPolicyDistill.settings.training import BestOfEquals


def judged(
    values: list[float], patience: int = 0, noise: float = 0.0, best: BestOfEquals = "later"
) -> tuple[list[str], list[int | None]]:
    """Verdicts and where `best` is, evaluation by evaluation; differences are +- `noise`."""
    progress, verdicts, places = Progress(), [], []
    for step, value in enumerate(values):

        def change_since(earlier: int, value: float = value) -> tuple[float, float]:
            difference = value - values[earlier]
            return difference - noise, difference + noise

        now = Evaluated(step, value, change_since)
        progress, verdict = judge(progress, now, patience, best)
        verdicts.append(verdict)
        places.append(progress.best_step)
    return verdicts, places


def test_a_lower_value_is_an_improvement_and_starts_the_wait_again() -> None:
    verdicts, places = judged([3, 2, 2.5, 1], 2)
    assert verdicts == ["improved", "improved", "waiting", "improved"]
    assert places == [0, 1, 1, 3]


def test_among_equals_the_later_is_best_or_the_earlier_where_that_is_wanted() -> None:
    values = [3.0, 1.0, 1.05, 0.97]
    verdicts, places = judged(values, noise=0.1)
    assert verdicts == ["improved", "improved", "equal", "equal"]
    assert places == [0, 1, 2, 3]
    verdicts, places = judged(values, noise=0.1, best="earlier")
    assert verdicts == ["improved", "improved", "waiting", "waiting"]
    assert places == [0, 1, 1, 1]


def test_patience_counts_evaluations_without_improvement_beyond_chance() -> None:
    assert judged([3, 3, 3], 2)[0] == ["improved", "equal", "plateau"]
    assert judged([3, 2.99, 2.98], 2, noise=0.1)[0] == ["improved", "equal", "plateau"]


def test_best_moves_to_the_evaluation_at_which_the_patience_ends() -> None:
    assert judged([3, 2.99, 2.98], 2, noise=0.1)[1] == [0, 1, 2]


def test_steps_too_small_to_be_seen_one_by_one_add_up_to_an_improvement() -> None:
    verdicts, _ = judged([1.0, 0.95, 0.9, 0.85], patience=9, noise=0.12)
    assert verdicts == ["improved", "equal", "equal", "improved"]


def test_a_run_that_slowly_gets_worse_is_not_as_good_as_itself_all_the_way() -> None:
    verdicts, places = judged([1.0, 1.05, 1.1, 1.15, 1.2], noise=0.12)
    assert verdicts == ["improved", "equal", "equal", "waiting", "waiting"]
    assert places[-1] == 2


def test_best_may_not_be_worse_than_the_lowest_even_where_it_was_no_improvement() -> None:
    _, places = judged([1.0, 0.95, 1.05], noise=0.08)
    assert places == [0, 1, 1]


def test_without_patience_nothing_is_a_plateau() -> None:
    assert set(judged([3, 3, 3, 3, 3])[0][1:]) == {"equal"}


def test_twice_as_far_as_at_the_start_two_times_in_a_row_is_divergence() -> None:
    assert judged([1, 2.1, 2.1], 9)[0] == ["improved", "waiting", "diverged"]
    assert judged([1, 2.1, 1.5, 2.1], 9)[0][-1] == "waiting"


def test_evaluations_that_cannot_be_paired_do_not_differ() -> None:
    progress, _ = judge(Progress(), Evaluated(0, 1.0, lambda _: None), 0)
    progress, verdict = judge(progress, Evaluated(1, 5.0, lambda _: None), 0)
    assert (verdict, progress.best_step) == ("equal", 1)
