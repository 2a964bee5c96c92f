import pytest

from OnPolicyDistill.rollout import Rollout, bucket_length, pack


def test_a_completion_of_g_after_a_prompt_of_p_uses_positions_p_minus_1_to_p_plus_g_minus_2() -> (
    None
):
    first = Rollout(0, (1, 2, 3), (4, 5), (0.0, 0.0), "stop")
    second = Rollout(1, (6,), (7, 8, 9), (0.0, 0.0, 0.0), "length")
    batch = pack([first, second])
    T = batch.tokens.shape[1]
    assert batch.positions.tolist() == [2, 3, T + 0, T + 1, T + 2]
    assert batch.labels.tolist() == [4, 5, 7, 8, 9]
    assert batch.num_tokens == 5


def test_padding_is_at_the_right_and_a_real_token_may_equal_it() -> None:
    batch = pack([Rollout(0, (0, 1), (0,), (0.0,), "stop")], pad_id=0)
    assert batch.tokens[0, :3].tolist() == [0, 1, 0]
    assert batch.labels.tolist() == [0]


def test_at_most_32_bucket_lengths_reach_8192_tokens() -> None:
    buckets = {bucket_length(length) for length in range(1, 8193)}
    assert len(buckets) <= 32
    assert max(buckets) == 8192


@pytest.mark.parametrize("length", [1, 31, 32, 33, 100, 129, 1000, 5000])
def test_a_bucket_holds_its_row_with_little_padding(length: int) -> None:
    bucket = bucket_length(length)
    assert bucket >= length
    assert bucket <= max(32, length * 1.25 + 16)
