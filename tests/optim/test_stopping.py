from OnPolicyDistill.optim.stopping import Progress, judge


def verdicts(values: list[float], patience: int) -> list[str]:
    progress, found = Progress(), []
    for value in values:
        progress, verdict = judge(progress, value, patience)
        found.append(verdict)
    return found


def test_a_lower_value_is_an_improvement_and_starts_the_wait_again() -> None:
    assert verdicts([3, 2, 2.5, 1], 2) == ["improved", "improved", "waiting", "improved"]


def test_patience_counts_evaluations_without_improvement() -> None:
    assert verdicts([3, 3, 3], 2) == ["improved", "waiting", "plateau"]


def test_without_patience_nothing_is_a_plateau() -> None:
    assert set(verdicts([3, 3, 3, 3, 3], 0)[1:]) == {"waiting"}


def test_twice_as_far_as_at_the_start_two_times_in_a_row_is_divergence() -> None:
    assert verdicts([1, 2.1, 2.1], 9) == ["improved", "waiting", "diverged"]
    assert verdicts([1, 2.1, 1.5, 2.1], 9)[-1] == "waiting"
