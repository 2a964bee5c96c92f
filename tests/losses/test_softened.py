import math

import mlx.core as mx
import pytest

from OnPolicyDistill.losses.softened import soften


def test_the_parts_are_a_softmax_at_the_temperature() -> None:
    # logits (0, 2 ln 3) at T = 2 are (0, ln 3): probabilities (1/4, 3/4), log total ln 4
    softened = soften(mx.array([[0.0, 2 * math.log(3)]]), 2.0)
    assert softened.probabilities[0].tolist() == pytest.approx([0.25, 0.75])
    assert softened.log_total.item() == pytest.approx(math.log(4))
    ids = mx.array([[1, 0]])
    expected = [math.log(0.75), math.log(0.25)]
    assert softened.logprobs_of(ids)[0].tolist() == pytest.approx(expected)
    # 1/4 ln 4 + 3/4 ln(4/3) = 0.346574 + 0.215762
    assert softened.entropy().item() == pytest.approx(0.562335, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 1.5, 2.0, 3.0, 4.0])
def test_temperature_one_is_recovered_from_any_temperature(temperature: float) -> None:
    logits = mx.random.normal((5, 30), scale=4.0, key=mx.random.key(1))
    plain = soften(logits, temperature).at_temperature_one()
    assert mx.allclose(plain.probabilities, mx.softmax(logits, axis=-1), rtol=1e-5, atol=1e-9)
    assert mx.allclose(plain.log_total[:, 0], mx.logsumexp(logits, axis=-1), atol=1e-5)
