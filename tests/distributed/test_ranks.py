"""What a rank makes of its place, and that a process alone is left as it is."""

import mlx.core as mx
import mlx.nn as nn
import pytest

from OnPolicyDistill.distributed.ranks import ALONE, Ranks, this_process


def test_every_row_is_dealt_to_one_rank_and_the_first_is_never_left_out() -> None:
    shares = [Ranks(rank, 3).own(range(7)) for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4], [2, 5]]
    assert [Ranks(rank, 3).own([5]) for rank in range(3)] == [[5], [], []]


def test_a_process_alone_gets_its_own_numbers_back_untouched() -> None:
    gradients: dict[str, object] = {"a": mx.array([1.0, 2.0])}
    same, loss = ALONE.add_up(gradients, 0.1, nn.Linear(2, 2))
    assert same is gradients
    assert loss == 0.1
    assert ALONE.total(7) == 7
    assert ALONE.own([3, 4]) == [3, 4]
    assert this_process() is ALONE


def test_ranks_drop_out_differently_and_the_first_as_a_process_alone() -> None:
    seeds = [Ranks(rank, 3).seed(5, "dropout", 2) for rank in range(3)]
    assert len(set(seeds)) == 3
    assert seeds[0] == ALONE.seed(5, "dropout", 2)


@pytest.mark.parametrize("rank", [0, 1])
def test_only_one_rank_holds_the_run(rank: int) -> None:
    assert Ranks(rank, 2).is_first == (rank == 0)
    assert not Ranks(rank, 2).is_alone
