import itertools
import math
from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.advantages import advantages_of
from OnPolicyDistill.losses.grpo import (
    GradedTokens,
    PolicyObjective,
    PolicyStats,
    k3,
    policy_gradient_loss,
    row_weights,
    sampled_logprobs,
)
from tests.losses.test_advantages import RULER, ruler_rewards

CASES = [case for case in RULER["cases"] if case["options"]["loss_type"] != "bnpo"]
LENGTHS = RULER["lengths"]


def objective_of(case: dict[str, Any], chunk_size: int | None = None) -> PolicyObjective:
    options = case["options"]
    return PolicyObjective(
        options["loss_type"],
        options["level"],
        options["epsilon"],
        options["epsilon_high"],
        options["delta"],
        options["beta"],
        chunk_size=chunk_size,
    )


def graded(case: dict[str, Any], rows: slice = slice(None)) -> tuple[mx.array, GradedTokens]:
    """Logits (N, V) and tokens of some of the ruler's rows, weighted as in the whole step."""
    options = case["options"]
    rewards = ruler_rewards(case["reward_set"])
    advantages = advantages_of(rewards, 3, case["scale_rewards"]).values
    counts = [
        not (options["mask_truncated"] and row["finish_reason"] == "length")
        for row in RULER["rows"]
    ]
    longest = RULER["max_completion_tokens"]
    weights = row_weights(LENGTHS, counts, options["loss_type"], longest)
    tokens = [token for row in RULER["rows"][rows] for token in row["tokens"]]
    old = "logp" if options["on_policy"] else "old_logp"
    return mx.array([token["logits"] for token in tokens]), GradedTokens(
        labels=mx.array([token["label"] for token in tokens]),
        old_logprobs=mx.array([token[old] for token in tokens]),
        lengths=LENGTHS[rows],
        advantages=advantages[rows],
        weights=weights[rows],
        reference_logprobs=mx.array([t["ref_logp"] for t in tokens]) if options["beta"] else None,
    )


# Logits are the hidden states themselves: what is differentiated is what the ruler differentiates.
IDENTITY = VocabularyHead(mx.eye(4), 4)


def loss_and_gradient(
    hidden: mx.array, head: VocabularyHead, tokens: GradedTokens, objective: PolicyObjective
) -> tuple[float, mx.array, PolicyStats]:
    def loss_of(states: mx.array) -> tuple[mx.array, PolicyStats]:
        return policy_gradient_loss(states, head, tokens, objective)

    (loss, stats), gradient = mx.value_and_grad(loss_of)(hidden)
    return loss.item(), gradient, stats


@pytest.mark.parametrize("chunk_size", [None, 1, 4])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_value_and_gradient_are_those_of_the_ruler(
    case: dict[str, Any], chunk_size: int | None
) -> None:
    logits, tokens = graded(case)
    objective = objective_of(case, chunk_size)
    loss, gradient, _ = loss_and_gradient(logits, IDENTITY, tokens, objective)
    assert loss == pytest.approx(case["loss"], abs=1e-5)
    expected = mx.array(list(itertools.chain.from_iterable(case["gradient_of_logits"])))
    assert mx.abs(gradient - expected).max().item() < 1e-5
    chosen = mx.take_along_axis(gradient, tokens.labels[:, None], -1)[:, 0]
    slopes = chosen / (1 - mx.exp(sampled_logprobs(logits, IDENTITY, tokens.labels, objective)))
    by_logprob = list(itertools.chain.from_iterable(case["gradient_of_logp"]))
    assert slopes.tolist() == pytest.approx(by_logprob, abs=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_two_micro_batches_are_one_step(case: dict[str, Any]) -> None:
    total, parts = 0.0, []
    for rows in (slice(0, 3), slice(3, 6)):
        logits, tokens = graded(case, rows)
        loss, gradient, _ = loss_and_gradient(logits, IDENTITY, tokens, objective_of(case))
        total += loss
        parts.append(gradient)
    assert total == pytest.approx(case["loss"], abs=1e-5)
    whole = loss_and_gradient(*_with_head(graded(case)), objective_of(case))[1]
    assert mx.abs(mx.concatenate(parts) - whole).max().item() < 1e-6


def _with_head(given: tuple[mx.array, GradedTokens]) -> tuple[mx.array, VocabularyHead, Any]:
    return given[0], IDENTITY, given[1]


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if not case["options"]["mask_truncated"]],
    ids=lambda c: c["name"],
)
def test_statistics_are_those_of_the_ruler(case: dict[str, Any]) -> None:
    logits, tokens = graded(case)
    stats = loss_and_gradient(logits, IDENTITY, tokens, objective_of(case))[2]
    # Half, a quarter and two eighths: 1/2 ln 2 + 1/4 ln 4 + 1/4 ln 8.
    assert stats.entropy.tolist() == pytest.approx([1.75 * math.log(2)] * len(tokens.labels))
    if case["options"]["beta"]:
        assert stats.kl.mean().item() == pytest.approx(case["metrics"]["kl"], abs=1e-6)
    # TRL counts rows at sequence level, advantages of 1e-12, and for cispo a lower edge that
    # holds nothing back.
    is_counted_alike = (
        case["options"]["level"] == "token"
        and case["options"]["loss_type"] != "cispo"
        and not case["name"].startswith("all_constant")
    )
    if is_counted_alike:
        low, high = (stat.mean().item() for stat in (stats.clipped_low, stats.clipped_high))
        expected = case["metrics"]
        assert (low, high) == pytest.approx((expected["clip_low"], expected["clip_high"]))


@pytest.mark.parametrize("name", ["dapo_on_policy", "grpo_on_policy", "cispo_on_policy"])
def test_a_policy_that_has_not_moved_needs_no_old_logprobs(name: str) -> None:
    (case,) = [case for case in CASES if case["name"] == name]
    logits, tokens = graded(case)
    tokens = replace(tokens, old_logprobs=None)
    loss, gradient, _ = loss_and_gradient(logits, IDENTITY, tokens, objective_of(case))
    assert loss == pytest.approx(case["loss"], abs=1e-5)
    expected = mx.array(list(itertools.chain.from_iterable(case["gradient_of_logits"])))
    assert mx.abs(gradient - expected).max().item() < 1e-5


def test_constant_rewards_have_no_gradient_at_all() -> None:
    (case,) = [case for case in CASES if case["name"] == "all_constant"]
    loss, gradient, _ = loss_and_gradient(*_with_head(graded(case)), objective_of(case))
    assert loss == 0
    assert mx.abs(gradient).max().item() == 0


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
@pytest.mark.parametrize("loss_type", ["dapo", "cispo"])
def test_the_gradient_through_a_real_head_equals_finite_differences(
    pair: Any, level: Any, temperature: float, loss_type: Any
) -> None:
    old = -mx.abs(mx.random.normal((7,), key=mx.random.key(1))) - 2
    reference, high = old - 0.3, 1e6
    if loss_type == "cispo":
        # Its factor is held constant, which differences cannot see: every ratio is at the bound.
        old, high = old - 20, 0.7
    tokens = GradedTokens(pair.labels, [4, 3], [0.8, -1.1], [0.1, 0.2], old, reference)
    objective = PolicyObjective(
        loss_type, level, 0.999999, high, beta=0.1, temperature=temperature, chunk_size=3
    )
    _, gradient, _ = loss_and_gradient(pair.hidden, pair.head, tokens, objective)
    for place in ((0, 0), (3, 5), (6, 7)):
        nudge = mx.zeros_like(pair.hidden)
        nudge[place] = 0.01
        above, below = (
            policy_gradient_loss(states, pair.head, tokens, objective)[0].item()
            for states in (pair.hidden + nudge, pair.hidden - nudge)
        )
        slope = (above - below) / 0.02
        assert gradient[place].item() == pytest.approx(slope, rel=0.02, abs=2e-3)


def test_logprobs_are_those_at_the_temperature_that_was_sampled(pair: Any) -> None:
    objective = PolicyObjective(temperature=0.5)
    logits = pair.head.logits(pair.hidden) / 0.5
    expected = mx.take_along_axis(logits, pair.labels[:, None], -1)[:, 0]
    expected = expected - mx.logsumexp(logits, axis=-1)
    found = sampled_logprobs(pair.hidden, pair.head, pair.labels, objective)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_distance_beyond_float32_stays_finite() -> None:
    value, slope = k3(mx.array([-200.0, 0.0]), mx.array([0.0, -200.0]))
    assert mx.isfinite(value).all().item()
    assert mx.isfinite(slope).all().item()
    assert slope[0].item() < -1e8  # still a strong pull upwards
    logits = mx.array([[0.0, 0.0, 0.0, 0.0]])
    for advantage in (1.0, -1.0):
        tokens = GradedTokens(mx.array([0]), [1], [advantage], [1.0], mx.array([-500.0]))
        loss, gradient, _ = loss_and_gradient(logits, IDENTITY, tokens, PolicyObjective())
        assert math.isfinite(loss)
        assert mx.isfinite(gradient).all().item()


def test_small_distances_do_not_cancel() -> None:
    # d^2 / 2 of d = 1e-3, where exp(d) - d - 1 in float32 is off by a tenth.
    value, _ = k3(mx.array([0.0]), mx.array([1e-3]))
    assert value.item() == pytest.approx(5.0016671e-07, rel=1e-3)


def test_cispo_without_its_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="epsilon_high"):
        PolicyObjective("cispo")
