import mlx.core as mx
import pytest

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.kv_cache import RowCache
from OnPolicyDistill.models.layer_caches import LayerCache
from OnPolicyDistill.models.row_layout import GROWTH_COLUMNS, RowLayout
from tests.architectures.tiny import tiny_model


def columns(*values: list[float]) -> mx.array:
    """One head of width 1: (B, 1, L, 1) from one list of numbers a row."""
    return mx.array(values)[:, None, :, None]


def written(cache: RowCache, *values: list[float]) -> list[list[float]]:
    keys, held = cache.layers[0].update_and_fetch(columns(*values), columns(*values) * 10)
    assert mx.array_equal(keys * 10, held).item()
    return keys[:, 0, :, 0].tolist()


def single_layer(num_rows: int) -> RowCache:
    return RowCache([LayerCache(RowLayout([0] * num_rows))])


def test_rows_of_equal_length_keep_the_fast_masks_and_one_offset():
    cache = single_layer(2)
    assert cache.layers[0].make_mask(3) == "causal"
    assert written(cache, [1, 2, 3], [4, 5, 6]) == [[1, 2, 3], [4, 5, 6]]
    assert cache.layers[0].make_mask(1) is None
    assert cache.layers[0].offset == 3


def test_rows_padded_on_the_right_are_moved_to_end_together():
    cache = single_layer(2)
    written(cache, [1, 2, 3], [4, 0, 0])
    cache = cache.right_justified([3, 1])
    layer = cache.layers[0]
    assert cache.padding == (0, 2)
    assert layer.offset.tolist() == [3, 1]
    assert layer.make_mask(1)[:, 0, 0].tolist() == [[True] * 4, [False, False, True, True]]
    rows = written(cache, [7], [8])
    assert rows[0] == [1, 2, 3, 7]
    assert rows[1][2:] == [4, 8]


def test_leaving_rows_take_the_columns_along_that_only_they_used():
    cache = single_layer(3)
    written(cache, [1, 2, 3], [4, 0, 0], [5, 6, 0])
    cache = cache.right_justified([3, 1, 2]).rows([2, 1])
    assert cache.length == 2
    assert cache.padding == (0, 1)
    rows = written(cache, [7], [8])
    assert rows[0] == [5, 6, 7]
    assert rows[1][1:] == [4, 8]


def test_the_last_row_left_is_fast_again():
    cache = single_layer(2)
    written(cache, [1, 2, 3], [4, 0, 0])
    cache = cache.right_justified([3, 1]).rows([1])
    assert cache.layers[0].make_mask(1) is None
    assert written(cache, [9]) == [[4, 9]]


def test_joined_rows_end_together_whichever_is_longer():
    for flip in (False, True):
        long, short = single_layer(1), single_layer(2)
        written(long, [1, 2, 3])
        written(short, [4], [5])
        cache = short.joined(long) if flip else long.joined(short)
        rows = written(cache, [6], [7], [8])
        assert cache.padding == ((2, 2, 0) if flip else (0, 2, 2))
        ends = [row[pad:] for row, pad in zip(rows, cache.padding, strict=True)]
        assert ends == ([[4, 6], [5, 7], [1, 2, 3, 8]] if flip else [[1, 2, 3, 6], [4, 7], [5, 8]])


def test_a_repeated_row_is_a_copy_of_its_own():
    cache = single_layer(1)
    written(cache, [1, 2])
    first, second = cache.rows([0, 0]), cache.rows([0])
    assert written(first, [3], [4]) == [[1, 2, 3], [1, 2, 4]]
    assert written(second, [5]) == [[1, 2, 5]]
    assert written(cache, [6]) == [[1, 2, 6]]


def test_a_cache_grows_past_its_capacity_without_losing_a_column():
    cache = single_layer(2)
    total = GROWTH_COLUMNS + 5
    for step in range(total):
        rows = written(cache, [step], [-step])
    assert rows == [list(range(total)), [-step for step in range(total)]]


def test_a_model_whose_rows_cannot_be_put_together_is_refused_in_words():
    with pytest.raises(ModelError, match="gpt_bigcode keeps a state"):
        RowCache.empty(tiny_model("gpt_bigcode"), 1)


def test_only_plain_attention_takes_padding():
    assert RowCache.empty(tiny_model("llama"), 1).takes_padding
    assert not RowCache.empty(tiny_model("gemma3_text"), 1).takes_padding
    assert not RowCache.empty(tiny_model("mamba2"), 1).takes_padding
