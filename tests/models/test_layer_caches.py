import mlx.core as mx
import pytest

from OnPolicyDistill.models import row_layout
from OnPolicyDistill.models.kv_cache import RowCache, SeparateRows, empty_rows
from OnPolicyDistill.models.layer_caches import (
    CacheGroup,
    GroupedLayerCache,
    LayerCache,
    WindowCache,
)
from OnPolicyDistill.models.row_layout import RowLayout
from OnPolicyDistill.models.state_cache import StateCache
from tests.architectures.tiny import tiny_model

WINDOW = 4


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_layout, "GROWTH_COLUMNS", 3)


def columns(*values: list[float]) -> mx.array:
    """One head of width 1: (B, 1, L, 1) from one list of numbers a row."""
    return mx.array(values)[:, None, :, None]


def windows(num_rows: int) -> RowCache:
    return RowCache([WindowCache(RowLayout([0] * num_rows), WINDOW)])


def window_of(cache: RowCache) -> WindowCache:
    (layer,) = cache.layers
    assert isinstance(layer, WindowCache)
    return layer


def written(cache: RowCache, *values: list[float]) -> list[list[float]]:
    keys, held = window_of(cache).update_and_fetch(columns(*values), columns(*values) * 10)
    assert mx.array_equal(keys * 10, held).item()
    rows: list[list[float]] = keys[:, 0, :, 0].tolist()
    return rows


def seen(cache: RowCache, row: int, *values: list[float]) -> list[float]:
    """What a row's next query attends to."""
    mask = window_of(cache).make_mask(1)
    fetched = written(cache, *values)[row]
    if not isinstance(mask, mx.array):
        return fetched
    allowed = mx.broadcast_to(mask, (len(values), 1, 1, len(fetched)))[row, 0, 0].tolist()
    return [key for key, is_seen in zip(fetched, allowed, strict=True) if is_seen]


def test_a_window_shows_its_last_columns_however_long_the_row() -> None:
    cache = windows(1)
    for step in range(40):
        assert seen(cache, 0, [step]) == list(range(max(0, step - WINDOW + 1), step + 1))


def test_a_window_holds_no_more_than_it_needs() -> None:
    cache = windows(1)
    for step in range(200):
        written(cache, [step])
    assert window_of(cache).keys.shape[2] <= WINDOW + 2 * 3


def test_rows_behind_a_long_prefix_take_only_its_window_along() -> None:
    cache = windows(1)
    written(cache, [float(number) for number in range(100)])
    cache = cache.rows([0, 0, 0])
    assert window_of(cache).keys.shape[2] < WINDOW + 2 * 3
    assert seen(cache, 1, [100], [101], [102]) == [97, 98, 99, 101]


def test_a_piece_of_a_prompt_sees_the_window_before_it() -> None:
    cache = windows(1)
    written(cache, [1, 2, 3, 4, 5, 6])
    mask = window_of(cache).make_mask(2)
    assert written(cache, [7, 8]) == [[4, 5, 6, 7, 8]]
    assert isinstance(mask, mx.array)
    assert mask.tolist() == [[True] * 4 + [False], [False] + [True] * 4]


def test_rows_join_and_leave_a_window_with_what_they_still_see() -> None:
    long, short, empty = windows(1), windows(2), windows(1)
    for step in range(1, 10):
        written(long, [step])
    written(short, [11, 12], [21, 22])
    cache = long.joined(short, empty)
    assert cache.padding == (0, 7, 7, 9)
    assert seen(cache, 0, [10], [13], [23], [31]) == [7, 8, 9, 10]
    assert seen(cache, 2, [11], [14], [24], [32]) == [21, 22, 23, 24]
    cache = cache.rows([3, 1])
    assert (cache.length, cache.padding) == (4, (2, 0))
    assert seen(cache, 0, [33], [15]) == [31, 32, 33]
    assert seen(cache, 1, [34], [16]) == [13, 14, 15, 16]


def test_a_narrower_window_is_cut_out_of_a_wider_cache() -> None:
    ragged = RowLayout([0, 2])
    held = columns([1, 2, 3], [0, 0, 4]), columns([1, 2, 3], [0, 0, 4])
    for cache in (LayerCache(ragged, 3, held), WindowCache(ragged, WINDOW, 3, held)):
        mask = cache.make_mask(1, window_size=2)
        assert isinstance(mask, mx.array)
        assert mask[:, 0, 0].tolist() == [[False, False, True, True]] * 2


def test_written_out_attention_over_grouped_heads_gets_masks_with_its_axis() -> None:
    cache = GroupedLayerCache(RowLayout([0, 2]), 3)
    mask = cache.make_mask(1, return_array=True)
    assert isinstance(mask, mx.array)
    assert mask.shape == (2, 1, 1, 1, 4)
    even = GroupedLayerCache(RowLayout([0, 0]), 3)
    assert even.make_mask(1, return_array=True) is None


def test_states_follow_their_rows_and_begin_at_zero() -> None:
    read = StateCache(RowLayout([0, 0]), [mx.array([[1.0], [2.0]]), None])
    unread = StateCache(RowLayout([0]), [None, None])
    joined = RowCache([read]).joined(RowCache([unread])).rows([2, 1, 1])
    (layer,) = joined.layers
    assert isinstance(layer, StateCache)
    assert [array.tolist() for array in layer.state] == [[[0.0], [2.0], [2.0]]]
    assert layer[1] is None


def test_a_layer_with_several_caches_keeps_them_apart() -> None:
    layout = RowLayout([0, 0])
    states = StateCache(layout, [mx.array([[1.0], [2.0]])])
    keys = LayerCache(layout)
    keys.update_and_fetch(columns([3, 4], [5, 6]), columns([3, 4], [5, 6]))
    cache = RowCache([CacheGroup([states, keys])]).rows([1])
    (group,) = cache.layers
    assert isinstance(group, CacheGroup)
    assert (cache.length, len(group.state)) == (2, 3)
    assert group[0].state[0].tolist() == [[2.0]]
    assert group[1].state[0][0, 0, :2, 0].tolist() == [5, 6]


def test_rows_that_are_read_one_by_one_do_not_write_into_each_other() -> None:
    model = tiny_model("llama4")
    cache = empty_rows(model, 1)
    assert isinstance(cache, SeparateRows)
    cache.read(lambda ids, caches: model(ids, cache=caches), mx.array([[1, 2, 3]]))
    twice = cache.rows([0, 0])
    mx.eval(twice.state)
    before = [array.tolist() for array in cache.state]
    twice.read(lambda ids, caches: model(ids, cache=caches), mx.array([[4], [5]]))
    first, second = (twice.rows([row]).state[0].tolist() for row in (0, 1))
    assert first != second
    assert [array.tolist() for array in cache.state] == before
