import math

import mlx.core as mx
import pytest

from OnPolicyDistill.generation.sampling import (
    BLOCK_TOKENS,
    GREEDY,
    SamplingSettings,
    _inverted,
    next_keys,
    row_keys,
    sample,
    truncated,
)


def logits_of(*probabilities: float) -> mx.array:
    return mx.log(mx.array([probabilities]))


def kept(probabilities: list[float], settings: SamplingSettings) -> list[int]:
    cut = truncated(mx.log(mx.array([probabilities])), settings)[0].tolist()
    return [index for index, logit in enumerate(cut) if logit > -math.inf]


def chi_square(counts: list[int], probabilities: list[float]) -> float:
    total = sum(counts)
    expected = [total * probability for probability in probabilities]
    return sum((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True))


def test_drawn_ids_have_the_frequencies_of_their_probabilities():
    probabilities = [0.5, 0.25, 0.125, 0.0625, 0.04, 0.0225]
    rows = 4000
    logits = mx.broadcast_to(logits_of(*probabilities), (rows, 6))
    ids, _ = sample(logits, SamplingSettings(), row_keys(range(rows)))
    counts = [ids.tolist().count(index) for index in range(6)]
    assert chi_square(counts, probabilities) < 20.5  # 99.9 % point at 5 degrees of freedom


def test_a_vocabulary_of_several_blocks_is_drawn_with_the_right_frequencies():
    V, rows = 2 * BLOCK_TOKENS + 100, 4000
    probabilities = [0.4 / (V - 4)] * V
    heavy = {0: 0.3, BLOCK_TOKENS - 1: 0.15, BLOCK_TOKENS: 0.1, V - 1: 0.05}
    for index, probability in heavy.items():
        probabilities[index] = probability
    logits = mx.broadcast_to(logits_of(*probabilities), (rows, V))
    drawn = sample(logits, SamplingSettings(), row_keys(range(rows)))[0].tolist()
    counts = [drawn.count(index) for index in heavy]
    blocks = [sum(i // BLOCK_TOKENS == b and i not in heavy for i in drawn) for b in range(3)]
    light = [BLOCK_TOKENS - 2, BLOCK_TOKENS - 1, 99]
    shares = [*heavy.values(), *(0.4 * num / (V - 4) for num in light)]
    assert chi_square(counts + blocks, shares) < 22.5  # 99.9 % point at 6 degrees of freedom
    assert max(drawn) < V


def test_successive_positions_of_one_row_are_drawn_with_the_right_frequencies():
    keys, probabilities, counts = row_keys([7]), [0.6, 0.3, 0.1], [0, 0, 0]
    drawn = []
    for _ in range(1000):
        drawn.append(sample(logits_of(*probabilities), SamplingSettings(), keys)[0])
        keys = next_keys(keys)
    for index in mx.concatenate(drawn).tolist():
        counts[index] += 1
    assert chi_square(counts, probabilities) < 13.8  # 99.9 % point at 2 degrees of freedom


def test_a_row_draws_the_same_id_whoever_sits_beside_it():
    mx.random.seed(3)
    logits = mx.random.normal((5, 50))
    keys = row_keys([11, 12, 13, 14, 15])
    together, logprobs = sample(logits, SamplingSettings(), keys)
    for row in range(5):
        alone, alone_logprob = sample(logits[row][None], SamplingSettings(), keys[row][None])
        assert alone.item() == together[row].item()
        assert alone_logprob.item() == logprobs[row].item()


def test_seeds_and_positions_that_are_neighbours_have_unrelated_keys():
    keys = row_keys(range(50))
    seen = set()
    for _ in range(50):
        seen.update(tuple(key) for key in keys.tolist())
        keys = next_keys(keys)
    assert len(seen) == 50 * 50


def test_logprobs_are_those_of_the_tempered_distribution():
    logits = mx.array([[1.0, 2.0, 4.0]])
    for temperature in (0.5, 1.0, 2.0):
        tempered = [math.exp(logit / temperature) for logit in (1.0, 2.0, 4.0)]
        for seed in range(5):
            settings = SamplingSettings(temperature=temperature)
            ids, logprobs = sample(logits, settings, row_keys([seed]))
            expected = math.log(tempered[ids.item()] / sum(tempered))
            assert logprobs.item() == pytest.approx(expected, abs=1e-6)


def test_greedy_takes_the_best_id_with_the_logprob_of_the_policy_itself():
    ids, logprobs = sample(logits_of(0.2, 0.7, 0.1), GREEDY, row_keys([0]))
    assert ids.tolist() == [1]
    assert logprobs.item() == pytest.approx(math.log(0.7), abs=1e-6)


def test_top_p_keeps_the_smallest_set_that_reaches_its_mass():
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(top_p=0.39)) == [1]
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(top_p=0.69)) == [1, 2]
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(top_p=0.71)) == [1, 2, 3]
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(top_p=0.95)) == [0, 1, 2, 3]


def test_min_p_keeps_what_reaches_its_share_of_the_best():
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(min_p=0.45)) == [1, 2, 3]
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(min_p=0.55)) == [1, 2]
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(min_p=1.0)) == [1]


def test_top_k_keeps_the_k_best_and_more_than_there_are_keeps_all():
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(top_k=2)) == [1, 2]
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(top_k=9)) == [0, 1, 2, 3]


def test_top_p_counts_mass_within_what_top_k_left():
    # Of 0.4 and 0.3 the first has 0.57: enough for 0.55, although it is 0.4 of the whole.
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(top_k=2, top_p=0.55)) == [1]
    assert kept([0.1, 0.4, 0.3, 0.2], SamplingSettings(top_p=0.55)) == [1, 2]


def test_the_temperature_is_applied_before_the_cuts():
    # At temperature 0.5 the probabilities 0.5, 0.3, 0.2 become 0.66, 0.24, 0.10.
    settings = SamplingSettings(temperature=0.5, top_p=0.6)
    drawn = {sample(logits_of(0.5, 0.3, 0.2), settings, row_keys([s]))[0].item() for s in range(40)}
    assert drawn == {0}


def test_cut_tokens_are_never_drawn_and_the_rest_is_renormalized():
    settings = SamplingSettings(top_k=2)
    logits = mx.broadcast_to(logits_of(0.1, 0.4, 0.3, 0.2), (500, 4))
    ids, logprobs = sample(logits, settings, row_keys(range(500)))
    assert set(ids.tolist()) == {1, 2}
    for index, logprob in zip(ids.tolist(), logprobs.tolist(), strict=True):
        assert logprob == pytest.approx(math.log({1: 0.4, 2: 0.3}[index] / 0.7), abs=1e-6)


def test_weight_zero_is_never_picked_even_where_rounding_reaches_the_total():
    weights = mx.array([[0.0, 1.0, 0.0, 0.0], [0.3, 0.3, 0.3, 0.0], [0.0, 0.0, 0.7, 0.0]])
    for uniform in (0.0, 0.5, 1 - 2**-24, 1.0):
        picked = _inverted(weights, mx.full((3,), uniform))
        picked_weights = mx.take_along_axis(weights, picked[:, None], axis=1)
        assert mx.all(picked_weights > 0).item()


def test_settings_know_whether_they_follow_the_policy():
    assert SamplingSettings().is_the_policy
    assert SamplingSettings(temperature=2.0).is_untruncated
    assert not SamplingSettings(temperature=2.0).is_the_policy
    assert not SamplingSettings(top_k=5).is_untruncated
    assert not GREEDY.is_untruncated


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 2.0}, "min_p"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, float], name: str):
    with pytest.raises(ValueError, match=name):
        SamplingSettings(**settings)
