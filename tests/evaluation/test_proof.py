"""A proof that fails says of each failed claim what its likely cause is."""

from __future__ import annotations

import pytest

from OnPolicyDistill.errors import ProofError
from OnPolicyDistill.evaluation.proof import ADVICE, require
from OnPolicyDistill.runs.events import Check


def failing(name: str) -> Check:
    check = Check.at_most(name, f"Claim {name}.", 2.0, 1.0)
    return check.model_copy(update={"advice": ADVICE[name]})


def test_each_failed_claim_brings_its_own_advice_and_none_comes_twice() -> None:
    names = ["gradient_flows", "logprobs_match", "logprobs_near"]
    passing = Check.above("teacher_differs", "They differ.", 1.0, 0.0)
    with pytest.raises(ProofError) as refused:
        require((passing, *map(failing, names)))
    assert "Claim logprobs_near. Measured 2, may be 1 at most." in refused.value.message
    assert "They differ" not in refused.value.message
    assert refused.value.action == f"{ADVICE['gradient_flows']} {ADVICE['logprobs_match']}"


def test_a_proof_that_holds_refuses_nothing() -> None:
    require((Check.above("teacher_differs", "They differ.", 1.0, 0.0),))


@pytest.mark.parametrize("measured", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_passes_no_check(measured: float) -> None:
    checks = (Check.above("a", "A.", measured, 0.0), Check.at_most("b", "B.", measured, 1.0))
    for check in checks:
        assert not check.passed
        assert check.measured is None
        assert check.measured_in_words == "not a number"
        assert Check.model_validate_json(check.model_dump_json()) == check
