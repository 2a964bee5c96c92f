from dataclasses import astuple, replace
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.tuner.lora import LoRALinear

from benchmarks.exact import divergence64, log_softmax64
from benchmarks.plain import log_softmax, plain_losses
from OnPolicyDistill.divergences import DIVERGENCES, FACTS, Divergence
from OnPolicyDistill.head import Quantization, VocabularyHead
from OnPolicyDistill.losses.distillation import TokenStats, distillation_loss
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.targets import HiddenTargets, Targets, top_k_targets
from tests.losses.conftest import NUM_TERMS
from tests.rounding import agree, rounding

EXACT = [name for name in DIVERGENCES if not FACTS[name].is_sampled]
SOFTENED = [(name, temperature) for name in EXACT for temperature in (1.0, 2.0, 1.7)]
TRAINED = [*SOFTENED, *((name, 1.0) for name in DIVERGENCES if name not in EXACT)]
Pair = Any
Gradient = tuple[mx.array, mx.array, TokenStats]


def objective(divergence: Divergence, temperature: float, **changes: Any) -> Objective:
    plain = Objective(
        divergence=divergence,
        temperature=temperature,
        kl_weight=0.8,
        ce_weight=0.2,
        teacher_weight=0.3,
        chunk_size=3,
    )
    return replace(plain, **changes)


def fused(pair: Pair, wanted: Objective, normalizer: float = 5.0) -> Gradient:
    def loss(hidden: mx.array) -> tuple[mx.array, TokenStats]:
        return distillation_loss(hidden, pair.head, pair.targets, pair.labels, normalizer, wanted)

    (value, stats), gradient = mx.value_and_grad(loss)(pair.hidden)
    return value, gradient, stats


def plain(pair: Pair, wanted: Objective, normalizer: float = 5.0) -> tuple[mx.array, mx.array]:
    teacher_logits = pair.targets.head.logits(pair.targets.hidden)
    teacher = log_softmax(teacher_logits, wanted.temperature)
    top_ids = mx.argmax(teacher_logits, axis=-1)

    def loss(hidden: mx.array) -> mx.array:
        logits = pair.head.logits(hidden)
        return plain_losses(logits, teacher, top_ids, pair.labels, wanted).sum() / normalizer

    value, gradient = mx.value_and_grad(loss)(pair.hidden)
    return value, gradient


def relative_error(actual: mx.array, expected: mx.array) -> float:
    return (mx.linalg.norm(actual - expected) / mx.linalg.norm(expected)).item()


@pytest.mark.parametrize(("divergence", "temperature"), TRAINED)
def test_loss_and_gradient_equal_plain_autodiff(
    pair: Pair, divergence: Divergence, temperature: float
) -> None:
    value, gradient, _ = fused(pair, objective(divergence, temperature))
    expected, expected_gradient = plain(pair, objective(divergence, temperature))
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert relative_error(gradient, expected_gradient) < 1e-5


def test_three_tokens_by_hand() -> None:
    # One-hot hidden states and a head whose rows are log probabilities: at T = 2 the logits are
    # 2 ln p, so the softened distributions are s = (1/2, 1/4, 1/4), t = (1/8, 1/8, 3/4), and
    # KL(s || t) = 0.591781 (worked out in test_divergence.py).
    # At T = 1 probabilities are squares, normalized: s = (4, 1, 1) / 6; the teacher's best token
    # is 2, so CE = ln 6. loss = (0.8 * 2^2 * 0.591781 + 0.2 * 1.791759) / 4 = 0.563013
    # gradient in the logits: 0.8 * 2 * (0.397257, 0.025342, -0.422598) / 4
    #                         + 0.2 * (2/3, 1/6, 1/6 - 1) / 4 = (0.192236, 0.018470, -0.210706)
    student = VocabularyHead(2 * mx.log(mx.array([[1 / 2], [1 / 4], [1 / 4]])), 3)
    teacher = VocabularyHead(2 * mx.log(mx.array([[1 / 8], [1 / 8], [3 / 4]])), 3)
    hidden, labels = mx.ones((1, 1)), mx.array([0])

    def loss(rows: mx.array, bias: mx.array) -> tuple[mx.array, TokenStats]:
        return distillation_loss(
            rows, student, HiddenTargets(hidden, teacher), labels, 4.0, objective("reverse_kl", 2.0)
        )

    (value, stats), gradient = mx.value_and_grad(loss)(hidden, hidden)
    assert value.item() == pytest.approx(0.563013, abs=2e-6)
    # d loss / d hidden = gradient . weights = 0.192236 * -1.386294
    #                     + (0.018470 - 0.210706) * -2.772589 = 0.266496
    assert gradient.item() == pytest.approx(0.266496, abs=2e-6)
    assert stats.divergence.item() == pytest.approx(0.591781, abs=2e-6)
    assert stats.cross_entropy.item() == pytest.approx(1.791759, abs=2e-6)
    assert stats.agreement.item() == 0
    assert stats.student_logprob.item() == pytest.approx(-0.405465, abs=2e-6)
    # teacher at T = 1: (1, 1, 36) / 38; ln(4/6) - ln(1/38) = 3.232121
    assert stats.sampled_reverse_kl.item() == pytest.approx(3.232121, abs=2e-6)
    # 2/3 ln(3/2) + 1/3 ln 6 = 0.270310 + 0.597253
    assert stats.student_entropy.item() == pytest.approx(0.867563, abs=2e-6)


@pytest.mark.parametrize(("divergence", "temperature"), SOFTENED)
def test_gradient_equals_finite_differences(
    pair: Pair, divergence: Divergence, temperature: float
) -> None:
    wanted = objective(divergence, temperature)
    _, gradient, _ = fused(pair, wanted)
    hidden = np.array(pair.hidden, dtype=np.float64)
    for row, column in ((0, 0), (3, 5), (6, 7)):
        step = np.zeros_like(hidden)
        step[row, column] = 1e-5
        above, below = (
            float64_loss(pair, moved, wanted) for moved in (hidden + step, hidden - step)
        )
        assert gradient[row, column].item() == pytest.approx((above - below) / 2e-5, rel=2e-4)


def float64_loss(pair: Pair, hidden: np.ndarray, wanted: Objective) -> float:
    V, T = pair.head.vocab_size, wanted.temperature
    weight, bias = (np.array(x[:V], dtype=np.float64) for x in (pair.head.weight, pair.head.bias))
    student_logits = hidden @ weight.T + bias
    teacher_logits = np.array(pair.targets.head.logits(pair.targets.hidden), dtype=np.float64)

    student, teacher = log_softmax64(student_logits / T), log_softmax64(teacher_logits / T)
    divergence, _ = divergence64(student, teacher, wanted)
    top = log_softmax64(student_logits)[np.arange(len(hidden)), teacher_logits.argmax(-1)]
    per_token = wanted.kl_weight * T**2 * divergence - wanted.ce_weight * top
    return float(per_token.sum() / 5.0)


@pytest.mark.parametrize(("divergence", "temperature"), TRAINED)
def test_a_teacher_equal_to_the_student_teaches_nothing(
    pair: Pair, divergence: Divergence, temperature: float
) -> None:
    same = replace(pair, targets=HiddenTargets(pair.hidden, pair.head))
    wanted = objective(divergence, temperature, ce_weight=0.0)
    value, gradient, stats = fused(same, wanted)
    _, real_gradient, _ = fused(pair, wanted)
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert mx.linalg.norm(gradient).item() < 1e-6 * mx.linalg.norm(real_gradient).item()
    assert stats.agreement.tolist() == [1.0] * 7


@pytest.mark.parametrize(("divergence", "temperature"), TRAINED)
def test_the_chunk_size_does_not_change_the_result(
    pair: Pair, divergence: Divergence, temperature: float
) -> None:
    value, gradient, stats = fused(pair, objective(divergence, temperature, chunk_size=None))
    for chunk_size in (1, 3, 7, 20):
        wanted = objective(divergence, temperature, chunk_size=chunk_size)
        other, other_gradient, other_stats = fused(pair, wanted)
        assert other.item() == pytest.approx(value.item(), rel=rounding(NUM_TERMS))
        assert relative_error(other_gradient, gradient) < rounding(NUM_TERMS)
        for left, right in zip(astuple(stats), astuple(other_stats), strict=True):
            assert left.dtype == mx.float32
            assert agree(left, right, NUM_TERMS)


def test_micro_batches_add_up_to_one_batch(pair: Pair) -> None:
    wanted = objective("reverse_kl", 2.0)
    value, gradient, _ = fused(pair, wanted, normalizer=7.0)
    values, gradients = [], []
    for rows in (slice(0, 2), slice(2, 7)):
        part = replace(
            pair,
            hidden=pair.hidden[rows],
            targets=HiddenTargets(pair.targets.hidden[rows], pair.targets.head),
            labels=pair.labels[rows],
        )
        part_value, part_gradient, _ = fused(part, wanted, normalizer=7.0)
        values.append(part_value.item())
        gradients.append(part_gradient)
    assert sum(values) == pytest.approx(value.item(), rel=rounding(NUM_TERMS))
    assert relative_error(mx.concatenate(gradients), gradient) < rounding(NUM_TERMS)


def test_the_kl_term_is_scaled_by_the_squared_temperature(pair: Pair) -> None:
    for temperature in (1.0, 2.0, 4.0):
        wanted = objective("reverse_kl", temperature, kl_weight=0.5, ce_weight=0.0)
        value, _, stats = fused(pair, wanted)
        expected = 0.5 * temperature**2 * stats.divergence.sum().item() / 5.0
        assert value.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("divergence", EXACT)
def test_padding_rows_carry_no_mass(pair: Pair, divergence: Divergence) -> None:
    V = pair.head.vocab_size
    cut = VocabularyHead(pair.head.weight[:V], V, bias=pair.head.bias[:V])
    teacher = VocabularyHead(pair.targets.head.weight[:V], V)
    unpadded = replace(pair, head=cut, targets=HiddenTargets(pair.targets.hidden, teacher))
    value, gradient, _ = fused(pair, objective(divergence, 2.0))
    expected, expected_gradient, _ = fused(unpadded, objective(divergence, 2.0))
    assert value.item() == expected.item()
    assert relative_error(gradient, expected_gradient) < 1e-6


def quantized(head: VocabularyHead) -> tuple[VocabularyHead, VocabularyHead]:
    """The head at 8 bits, and the plain head with the weights those bits stand for."""
    weight, scales, biases = mx.quantize(head.weight, group_size=32, bits=8)
    packed = replace(head, weight=weight, quantization=Quantization(scales, biases, 32, 8))
    unpacked = mx.dequantize(weight, scales, biases, group_size=32, bits=8)
    return packed, replace(head, weight=unpacked)


@pytest.mark.parametrize(("divergence", "temperature"), TRAINED[::3])
def test_quantized_heads_equal_their_dequantized_weights(
    divergence: Divergence, temperature: float
) -> None:
    keys = mx.random.split(mx.random.key(9), 4)
    hidden, teacher_hidden = (mx.random.normal((5, 64), key=key) for key in keys[:2])
    heads = [VocabularyHead(mx.random.normal((48, 64), scale=0.3, key=key), 40) for key in keys[2:]]
    (student, plain_student), (teacher, plain_teacher) = map(quantized, heads)
    results = []
    for head, other in ((student, teacher), (plain_student, plain_teacher)):

        def loss(
            rows: mx.array, head: VocabularyHead = head, other: VocabularyHead = other
        ) -> mx.array:
            targets = HiddenTargets(teacher_hidden, other)
            wanted = objective(divergence, temperature)
            return distillation_loss(rows, head, targets, mx.arange(5), 5.0, wanted)[0]

        results.append(mx.value_and_grad(loss)(hidden))
    assert results[0][0].item() == pytest.approx(results[1][0].item(), rel=1e-5)
    assert relative_error(results[0][1], results[1][1]) < 1e-5


def test_bf16_states_and_heads_give_float32_losses_near_the_float32_ones(pair: Pair) -> None:
    def rounded(array: mx.array) -> mx.array:
        return array.astype(mx.bfloat16)

    student = replace(pair.head, weight=rounded(pair.head.weight), bias=rounded(pair.head.bias))
    teacher = replace(pair.targets.head, weight=rounded(pair.targets.head.weight))
    halved = replace(
        pair,
        hidden=rounded(pair.hidden),
        head=student,
        targets=HiddenTargets(rounded(pair.targets.hidden), teacher),
    )
    value, gradient, stats = fused(halved, objective("reverse_kl", 2.0))
    expected, expected_gradient, _ = fused(pair, objective("reverse_kl", 2.0))
    assert value.dtype == mx.float32
    assert gradient.dtype == mx.bfloat16
    assert all(array.dtype == mx.float32 for array in astuple(stats))
    assert value.item() == pytest.approx(expected.item(), rel=0.02)
    assert relative_error(gradient.astype(mx.float32), expected_gradient) < 0.05


class Body(nn.Module):
    """Embedding and one adapted layer: enough of a student to train."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, 8)
        self.layer = LoRALinear(8, 8, r=2)
        self.layer.lora_b = mx.random.normal((2, 8), key=mx.random.key(5))
        self.embedding.freeze()
        self.layer.linear.freeze()

    def __call__(self, tokens: mx.array) -> mx.array:
        return mx.tanh(self.layer(self.embedding(tokens)))


def test_the_gradient_reaches_an_adapter_through_a_body_with_a_tied_head(pair: Pair) -> None:
    mx.random.seed(0)
    body = Body()
    head = VocabularyHead(body.embedding.weight, 40)
    tokens = mx.arange(7)
    wanted = objective("reverse_kl", 2.0)
    tied = replace(pair, head=head)

    def fused_loss(tokens: mx.array) -> mx.array:
        return distillation_loss(body(tokens), head, pair.targets, pair.labels, 5.0, wanted)[0]

    def plain_loss(tokens: mx.array) -> mx.array:
        teacher_logits = pair.targets.head.logits(pair.targets.hidden)
        return (
            plain_losses(
                tied.head.logits(body(tokens)),
                log_softmax(teacher_logits, 2.0),
                mx.argmax(teacher_logits, axis=-1),
                pair.labels,
                wanted,
            ).sum()
            / 5.0
        )

    value, gradients = nn.value_and_grad(body, fused_loss)(tokens)
    expected, expected_gradients = nn.value_and_grad(body, plain_loss)(tokens)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    for name in ("lora_a", "lora_b"):
        error = relative_error(gradients["layer"][name], expected_gradients["layer"][name])
        assert error < 1e-5


def test_no_gradient_reaches_a_head(pair: Pair) -> None:
    def loss(weight: mx.array) -> mx.array:
        head = replace(pair.head, weight=weight)
        wanted = objective("jsd", 2.0)
        return distillation_loss(pair.hidden, head, pair.targets, pair.labels, 5.0, wanted)[0]

    assert mx.abs(mx.grad(loss)(pair.head.weight)).max().item() == 0


def test_memory_is_flat_in_the_positions_and_far_below_whole_logits() -> None:
    V, D = 4_000, 16
    keys = mx.random.split(mx.random.key(2), 4)
    heads = [VocabularyHead(mx.random.normal((V, D), key=key), V) for key in keys[:2]]
    peaks = []
    for positions in (256, 1024):
        hidden, teacher_hidden = (mx.random.normal((positions, D), key=key) for key in keys[2:])
        labels = mx.zeros((positions,), dtype=mx.int32)
        mx.eval(hidden, teacher_hidden, labels, heads[0].weight, heads[1].weight)

        def loss(
            rows: mx.array, labels: mx.array = labels, other: mx.array = teacher_hidden
        ) -> mx.array:
            targets: Targets = HiddenTargets(other, heads[1])
            wanted = objective("reverse_kl", 2.0, chunk_size=16)
            return distillation_loss(rows, heads[0], targets, labels, 1.0, wanted)[0]

        mx.clear_cache()
        held = mx.get_active_memory()
        mx.reset_peak_memory()
        mx.eval(mx.value_and_grad(loss)(hidden))
        peaks.append(mx.get_peak_memory() - held)
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 0.5 * 1024 * V * 4


def test_targets_that_do_not_fit_are_refused(pair: Pair) -> None:
    wanted = objective("reverse_kl", 2.0)
    smaller = replace(pair.targets.head, vocab_size=39)
    with pytest.raises(ValueError, match="40 tokens"):
        fused(replace(pair, targets=HiddenTargets(pair.targets.hidden, smaller)), wanted)
    with pytest.raises(ValueError, match="rows"):
        fused(replace(pair, labels=pair.labels[:-1]), wanted)
    with pytest.raises(ValueError, match=r"temperature 1\.0"):
        fused(replace(pair, targets=top_k_targets(pair.targets, pair.labels, 4, 1.0)), wanted)
