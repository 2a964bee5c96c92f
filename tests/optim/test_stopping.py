"""Verdicts on evaluations: only what a paired interval shows is a difference."""

from OnPolicyDistill.optim.stopping import Direction, Evaluated, Progress, judge
from OnPolicyDistill.settings.training import BestOfEquals


def judged(
    values: list[float],
    patience: int = 0,
    noise: float = 0.0,
    best: BestOfEquals = "later",
    better: Direction = "lower",
) -> tuple[list[str], list[int | None]]:
    """Verdicts and where `best` is, evaluation by evaluation; differences are +- `noise`."""
    progress, verdicts, places = Progress(), [], []
    for step, value in enumerate(values):

        def change_since(earlier: int, value: float = value) -> tuple[float, float]:
            difference = value - values[earlier]
            return difference - noise, difference + noise

        now = Evaluated(step, value, better, change_since)
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


def test_best_may_not_be_worse_than_the_leading_one_even_where_it_was_no_improvement() -> None:
    _, places = judged([1.0, 0.95, 1.05], noise=0.08)
    assert places == [0, 1, 1]


def test_without_patience_nothing_is_a_plateau() -> None:
    assert set(judged([3, 3, 3, 3, 3])[0][1:]) == {"equal"}


def test_twice_as_far_as_at_the_start_two_times_in_a_row_is_divergence() -> None:
    assert judged([1, 2.1, 2.1], 9)[0] == ["improved", "waiting", "diverged"]
    assert judged([1, 2.1, 1.5, 2.1], 9)[0][-1] == "waiting"


def test_evaluations_that_cannot_be_paired_do_not_differ() -> None:
    progress, _ = judge(Progress(), Evaluated(0, 1.0, "lower", lambda _: None), 0)
    progress, verdict = judge(progress, Evaluated(1, 5.0, "lower", lambda _: None), 0)
    assert (verdict, progress.best_step) == ("equal", 1)


def test_where_higher_is_better_a_higher_value_is_an_improvement_and_best() -> None:
    verdicts, places = judged([0.5, 0.7, 0.6, 0.9], 2, better="higher")
    assert verdicts == ["improved", "improved", "waiting", "improved"]
    assert places == [0, 1, 1, 3]


def test_whichever_way_is_better_the_same_course_gets_the_same_verdicts() -> None:
    course = [3.0, 2.6, 2.65, 2.5, 2.8, 2.58, 2.57]
    falling = judged(course, 3, noise=0.1)
    rising = judged([-value for value in course], 3, noise=0.1, better="higher")
    assert falling == rising
    assert set(falling[0]) == {"improved", "equal", "waiting", "plateau"}


def test_where_higher_is_better_the_leading_value_is_the_highest() -> None:
    progress = Progress()
    for step, value in enumerate([0.5, 0.8, 0.7]):
        now = Evaluated(step, value, "higher", lambda _: None)
        progress, _ = judge(progress, now, 0)
    assert (progress.leading_step, progress.leading) == (1, 0.8)


def test_less_than_half_of_the_start_two_times_in_a_row_is_divergence_where_higher_is_better() -> (
    None
):
    assert judged([0.8, 0.3, 0.3], 9, better="higher")[0] == ["improved", "waiting", "diverged"]
    assert judged([0.8, 0.3, 0.5, 0.3], 9, better="higher")[0][-1] == "waiting"
    assert "diverged" not in judged([0.2, 0.9, 0.15, 0.15], 9, better="higher")[0]


def test_a_share_that_began_near_nothing_does_not_diverge_by_luck() -> None:
    verdicts, _ = judged([0.02, 0.0, 0.0, 0.0], 9, noise=0.03, better="higher")
    assert verdicts == ["improved", "equal", "equal", "equal"]


def test_a_reward_below_zero_diverges_by_falling_and_not_by_rising() -> None:
    assert judged([-0.5, -0.4, -0.3], 9, better="higher")[0] == ["improved"] * 3
    assert judged([-0.5, -0.8, -0.8], 9, better="higher")[0][-1] == "diverged"
    assert judged([-0.5, -0.6, -0.6], 9, better="higher")[0][-1] == "waiting"
