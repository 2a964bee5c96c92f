"""What a layer carries from token to token: the state of a recurrence, the end of a convolution.

Letters: B rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache

from OnPolicyDistill.models.row_layout import RowLayout


class StateCache(ArraysCache):
    """Arrays (B, ...) that a layer carries from token to token; it must never see padding.

    Arrays that no token has been read into are None, which models take for zeros.
    """

    cache: list[mx.array | None]  # type: ignore[assignment]  # there: a list of None alone
    length = 0

    def __init__(self, layout: RowLayout, arrays: Sequence[mx.array | None]) -> None:
        super().__init__(len(arrays))
        self.layout = layout
        self.cache = list(arrays)

    @property  # type: ignore[misc]  # theirs can be set as well, which nobody does
    def state(self) -> list[mx.array]:
        """Every array there is, to be evaluated."""
        return [array for array in self.cache if array is not None]

    def picked(self, rows: mx.array, layout: RowLayout, unused: int) -> Self:
        """Those rows."""
        return type(self)(layout, [None if array is None else array[rows] for array in self.cache])

    def joined(self, others: Sequence[Self], layout: RowLayout, length: int) -> Self:
        """The rows of all."""
        caches = [self, *others]
        num_rows = [len(cache.layout.padding) for cache in caches]
        arrays = [
            _stacked([cache.cache[i] for cache in caches], num_rows) for i in range(len(self.cache))
        ]
        return type(self)(layout, arrays)


def _stacked(arrays: Sequence[mx.array | None], num_rows: Sequence[int]) -> mx.array | None:
    """Arrays of rows below each other, zeros for those that are None; None if all are."""
    like = next((array for array in arrays if array is not None), None)
    if like is None:
        return None
    return mx.concatenate(
        [
            mx.zeros((rows, *like.shape[1:]), like.dtype) if array is None else array
            for array, rows in zip(arrays, num_rows, strict=True)
        ]
    )
