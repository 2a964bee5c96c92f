from types import SimpleNamespace

import mlx.core as mx
import pytest

from OnPolicyDistill.losses.chunks import (
    CPU_CHUNK_BYTES,
    GPU_CHUNK_BYTES,
    carry_gradient,
    chunk_bytes,
    map_chunks,
    rows_per_chunk,
    rows_per_slice,
)


def test_chunks_are_joined_in_order() -> None:
    first, second = mx.arange(10), mx.arange(20).reshape(10, 2)
    sums, doubled = map_chunks(lambda a, b: (a + b.sum(-1), b * 2), (first, second), 4)
    assert sums.tolist() == (first + second.sum(-1)).tolist()
    assert doubled.tolist() == (second * 2).tolist()


def test_no_rows_and_unequal_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        map_chunks(lambda a: (a,), (mx.zeros((0, 3)),), 4)
    with pytest.raises(ValueError, match="rows"):
        map_chunks(lambda a, b: (a, b), (mx.zeros(3), mx.zeros(4)), 4)


def test_a_gpu_projects_more_rows_at_once_than_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {}
    for kind in (mx.DeviceType.cpu, mx.DeviceType.gpu):
        device = SimpleNamespace(type=kind)
        monkeypatch.setattr(mx, "default_device", lambda device=device: device)
        rows[kind] = rows_per_chunk(151_936)
        assert rows_per_chunk(151_936, 5) == 5
    assert rows == {mx.DeviceType.cpu: 16, mx.DeviceType.gpu: 128}
    assert CPU_CHUNK_BYTES < GPU_CHUNK_BYTES


def test_a_chunk_waits_for_the_one_before() -> None:
    columns, chunk_size, num_chunks = 50_000, 8, 64

    def widen(rows: mx.array) -> tuple[mx.array, ...]:
        return (mx.sqrt(rows[:, None] + mx.arange(columns)).sum(axis=-1),)

    rows = mx.zeros((num_chunks * chunk_size,))
    mx.eval(rows)
    mx.clear_cache()
    held = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(map_chunks(widen, (rows,), chunk_size))
    # About 9 arrays wait for the device; without an order MLX opens more than 20 chunks.
    assert mx.get_peak_memory() - held < 15 * chunk_size * columns * 4


def test_the_default_chunk_stays_within_its_bytes_and_is_never_too_small() -> None:
    assert rows_per_chunk(1_000) * 1_000 * 4 <= chunk_bytes()
    assert rows_per_chunk(10_000_000) == 16
    assert rows_per_chunk(151_936, 5) == 5
    with pytest.raises(ValueError, match="at least 1"):
        rows_per_chunk(151_936, 0)


def test_a_carried_gradient_leaves_the_value_alone() -> None:
    gradient = mx.array([[1.0, -2.0]])

    def loss(hidden: mx.array) -> mx.array:
        return carry_gradient(hidden.sum() * 0 + 0.1, hidden, gradient) * 3

    value, slope = mx.value_and_grad(loss)(mx.array([[1e6, 3e5]]))
    assert value.item() == pytest.approx(0.3, rel=1e-7)
    assert slope.tolist() == [[3.0, -6.0]]


def test_slices_divide_a_chunk_and_are_never_empty() -> None:
    assert rows_per_slice(48) == 6
    assert rows_per_slice(3) == 1
