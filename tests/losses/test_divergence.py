import math

import mlx.core as mx
import pytest

from OnPolicyDistill.divergences import Divergence
from OnPolicyDistill.losses.divergence import divergence, forward_kl, generalized_jsd, reverse_kl
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.softened import Softened, soften

STUDENT = (1 / 2, 1 / 4, 1 / 4)
TEACHER = (1 / 8, 1 / 8, 3 / 4)


def at(probabilities: tuple[float, ...], temperature: float = 1.0) -> Softened:
    """A distribution of given probabilities *at* the temperature, from shifted logits."""
    logits = mx.log(mx.array([probabilities])) * temperature + 7.0
    return soften(logits, temperature)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 2.5])
def test_reverse_kl_is_the_students_mean_log_ratio(temperature: float) -> None:
    # KL(s || t) = 1/2 ln(4) + 1/4 ln(2) + 1/4 ln(1/3) = 0.693147 + 0.173287 - 0.274653 = 0.591781
    # gradient s_i (ln(s_i / t_i) - KL):
    #   1/2 (1.386294 - 0.591781) =  0.397257
    #   1/4 (0.693147 - 0.591781) =  0.025342
    #   1/4 (-1.098612 - 0.591781) = -0.422598
    value, gradient = reverse_kl(at(STUDENT, temperature), at(TEACHER, temperature))
    assert value.tolist() == pytest.approx([0.591781], abs=2e-6)
    assert gradient[0].tolist() == pytest.approx([0.397257, 0.025342, -0.422598], abs=2e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 2.5])
def test_forward_kl_is_the_teachers_mean_log_ratio(temperature: float) -> None:
    # KL(t || s) = 1/8 ln(1/4) + 1/8 ln(1/2) + 3/4 ln(3) = -0.173287 - 0.086643 + 0.823959
    #            = 0.564029; gradient s - t = (3/8, 1/8, -1/2)
    value, gradient = forward_kl(at(STUDENT, temperature), at(TEACHER, temperature))
    assert value.tolist() == pytest.approx([0.564029], abs=2e-6)
    assert gradient[0].tolist() == pytest.approx([0.375, 0.125, -0.5], abs=2e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 2.5])
def test_jsd_weighs_both_sides_against_their_mixture(temperature: float) -> None:
    # w = 1/4: m = 1/4 t + 3/4 s = (13/32, 7/32, 3/8)
    # KL(t || m) = 1/8 ln(4/13) + 1/8 ln(4/7) + 3/4 ln(2)
    #            = -0.147332 - 0.069952 + 0.519860 = 0.302577
    # KL(s || m) = 1/2 ln(16/13) + 1/4 ln(8/7) + 1/4 ln(2/3)
    #            = 0.103820 + 0.033383 - 0.101366 = 0.035836
    # JSD = 0.302577 / 4 + 0.035836 * 3 / 4 = 0.102521
    # gradient 3/4 s_i (ln(s_i / m_i) - KL(s || m)):
    #   3/8  (0.207639 - 0.035836) =  0.064426
    #   3/16 (0.133531 - 0.035836) =  0.018318
    #   3/16 (-0.405465 - 0.035836) = -0.082744
    value, gradient = generalized_jsd(at(STUDENT, temperature), at(TEACHER, temperature), 0.25)
    assert value.tolist() == pytest.approx([0.102521], abs=2e-6)
    assert gradient[0].tolist() == pytest.approx([0.064426, 0.018318, -0.082744], abs=2e-6)


def test_the_two_directions_differ_and_the_name_picks_one() -> None:
    student, teacher = at(STUDENT), at(TEACHER)
    named: dict[Divergence, float] = {"reverse_kl": 0.591781, "forward_kl": 0.564029}
    for name, expected in named.items():
        objective = Objective(
            divergence=name, temperature=1.0, kl_weight=1.0, ce_weight=0.0, teacher_weight=0.5
        )
        value, _ = divergence(student, teacher, objective)
        assert value.tolist() == pytest.approx([expected], abs=2e-6)
    swapped, _ = reverse_kl(teacher, student)
    assert swapped.tolist() == pytest.approx([0.564029], abs=2e-6)


def test_jsd_tends_to_both_kls() -> None:
    student, teacher = at(STUDENT), at(TEACHER)
    small, _ = generalized_jsd(student, teacher, 1e-3)
    large, _ = generalized_jsd(student, teacher, 1 - 1e-3)
    assert small.item() / 1e-3 == pytest.approx(0.564029, rel=5e-3)
    assert large.item() / 1e-3 == pytest.approx(0.591781, rel=5e-3)


def test_vanishing_probabilities_give_finite_numbers() -> None:
    logits = mx.array([[0.0, -300.0, -5.0]])
    other = mx.array([[-300.0, 0.0, -5.0]])
    for teacher_weight in (0.1, 0.9):
        value, gradient = generalized_jsd(soften(logits, 1.0), soften(other, 1.0), teacher_weight)
        bound = -teacher_weight * math.log(teacher_weight) - (1 - teacher_weight) * math.log(
            1 - teacher_weight
        )
        assert 0.9 * bound < value.item() <= bound + 1e-6
        assert mx.isfinite(gradient).all().item()
    for kl in (reverse_kl, forward_kl):
        value, gradient = kl(soften(logits, 1.0), soften(other, 1.0))
        assert 290 < value.item() < 301
        assert mx.isfinite(gradient).all().item()


def test_bf16_logits_would_have_made_the_kl_negative_and_float32_does_not() -> None:
    keys = mx.random.split(mx.random.key(0), 2)
    logits = mx.random.normal((32, 20_000), scale=3.0, key=keys[0])
    nearby = logits + mx.random.normal(logits.shape, scale=0.01, key=keys[1])
    value, _ = reverse_kl(soften(logits, 1.0), soften(nearby, 1.0))
    # For a small difference the KL is half its variance under the student: about 0.5e-4.
    assert value.min().item() > 1e-5
    assert value.max().item() < 2e-4
    student, teacher = (
        (x - mx.logsumexp(x, axis=-1, keepdims=True))
        for x in (logits.astype(mx.bfloat16), nearby.astype(mx.bfloat16))
    )
    assert ((mx.exp(student) * (student - teacher)).sum(axis=-1) < 0).any().item()
