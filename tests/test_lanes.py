import os
import threading

import mlx.core as mx
import pytest

from OnPolicyDistill.lanes import in_lanes, num_lanes, one_thread_a_product

on_a_cpu = pytest.mark.skipif(
    mx.default_device().type != mx.DeviceType.cpu or (os.cpu_count() or 1) < 2,
    reason="a GPU has one lane, and so has one core",
)


@on_a_cpu
def test_rows_are_dealt_out_to_lanes_in_their_order_and_none_is_lost() -> None:
    rows = mx.arange(7)
    parts = in_lanes(7, lambda own: rows[own] * 2)
    assert len(parts) == 2
    assert mx.array_equal(mx.concatenate(parts), rows * 2)


def test_a_single_row_has_a_single_lane() -> None:
    assert num_lanes(1) == 1
    assert [part.tolist() for part in in_lanes(1, lambda own: mx.arange(1)[own])] == [[0]]


@on_a_cpu
def test_lanes_have_streams_of_their_own_in_every_thread() -> None:
    found: list[list[int]] = []

    def work() -> None:
        stream = mx.new_stream(mx.Device(mx.DeviceType.cpu))
        with mx.stream(stream):
            parts = in_lanes(4, lambda own: mx.ones((4,))[own].sum())
            mx.eval(parts)
        found.append([int(part.item()) for part in parts])

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [[2, 2], [2, 2]]


@on_a_cpu
def test_a_gradient_through_lanes_is_that_of_all_rows() -> None:
    mx.random.seed(0)
    weight, rows = mx.random.normal((6, 5)), mx.random.normal((9, 6))

    def whole(w: mx.array) -> mx.array:
        return mx.square(rows @ w).sum()

    def parted(w: mx.array) -> mx.array:
        return mx.stack(in_lanes(9, lambda own: mx.square(rows[own] @ w).sum())).sum()

    with one_thread_a_product(num_lanes(9)):
        slope = mx.grad(parted)(weight)
        mx.eval(slope)
    # The same products, added up in another order.
    assert mx.allclose(slope, mx.grad(whole)(weight), rtol=1e-5)
