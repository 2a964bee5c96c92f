"""The ranks of a run: processes with one student each, which learn from one step together.

The rows of a step are dealt out by their place: rank r of n takes rows r, r + n, r + 2n, ... A row
keeps its number, and with it prompt and seed, so what is learned does not depend on how many ranks
there are. Every loss is a share of the whole step's: whoever normalizes adds up over the ranks
before anything is differentiated, and the sum of the ranks' gradients is the step's gradient.

All ranks run the same lines. What they ask of each other here has to be asked by all of them, in
the same order, also by one whose share is empty. A process that trains alone asks nobody, and its
numbers pass through untouched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map_with_path
from pydantic import TypeAdapter

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.errors import RankLostError
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.seeds import derive_seed

T = TypeVar("T")

PIECE_BYTES = 64_000_000  # of a file, handed out at once


@dataclass(slots=True)
class Waited:
    """Seconds that sums and collections took, the others' delay included; since the last look."""

    seconds: float = 0.0

    def look(self) -> float:
        """The seconds since the last look."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among those that train together; `group` is None where it is alone."""

    rank: int = 0
    size: int = 1
    group: mx.distributed.Group | None = None
    waited: Waited = field(default_factory=Waited)

    @property
    def is_alone(self) -> bool:
        """Whether there is no other rank."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this process holds the run: rank 0 evaluates and writes, no other one does."""
        return self.rank == 0

    def own(self, dealt: Sequence[T]) -> list[T]:
        """This rank's share of what is dealt out by place."""
        return list(dealt[self.rank :: self.size])

    def seed(self, seed: int, purpose: str, counter: int) -> int:
        """A seed that differs between ranks; the first one has that of a process alone."""
        return derive_seed(
            seed, purpose if self.is_first else f"{purpose}_of_rank_{self.rank}", counter
        )

    def total(self, number: int) -> int:
        """The sum of a whole number over the ranks."""
        if self.is_alone:
            return number
        return int(
            self._done(mx.distributed.all_sum(mx.array([number], mx.int64), group=self.group))[0]
        )

    def add_up(self, gradients: dict[str, object], loss: float, model: nn.Module) -> Summed:
        """Gradient and loss of the whole step: one float32 sum over the ranks, of both together.

        Gradients have the form of what learns in the model; a rank that learned from nothing gives
        zeros.
        """
        if self.is_alone:
            return gradients, loss
        learning = model.trainable_parameters()
        flat, leaves = flat_arrays(gradients), flat_arrays(learning)
        parts = [
            flat[name].astype(mx.float32).reshape(-1) if name in flat else mx.zeros(leaf.size)
            for name, leaf in leaves.items()
        ]
        summed = mx.distributed.all_sum(
            mx.concatenate([*parts, mx.array([loss], mx.float32)]), group=self.group
        )
        self._done(summed)
        places = iter(np.cumsum([0, *(leaf.size for leaf in leaves.values())]).tolist())

        def cut(leaf: mx.array) -> mx.array:
            start = next(places)
            return summed[start : start + leaf.size].reshape(leaf.shape).astype(leaf.dtype)

        cuts = {name: cut(leaf) for name, leaf in leaves.items()}
        tree = cast("dict[str, object]", tree_map_with_path(lambda name, _: cuts[name], learning))
        mx.eval(tree)
        return tree, as_float(summed[-1])

    def gather(self, text: str) -> list[str]:
        """What every rank says, by rank."""
        if self.is_alone:
            return [text]
        said = np.frombuffer(text.encode(), np.uint8)
        length = mx.array([said.size], mx.int32)
        lengths = self._ints(mx.distributed.all_gather(length, group=self.group))
        longest = max(lengths)
        padded = mx.array(np.pad(said, (0, longest - said.size)))
        every = self._bytes(mx.distributed.all_gather(padded, group=self.group))
        starts = range(0, longest * self.size, longest)
        return [
            every[start : start + length].decode()
            for start, length in zip(starts, lengths, strict=True)
        ]

    def together(self, own: list[T], form: TypeAdapter[list[T]]) -> list[T]:
        """What the ranks made of their shares, in the order that was dealt out."""
        if self.is_alone:
            return own
        shares = [form.validate_json(said) for said in self.gather(form.dump_json(own).decode())]
        return [
            shares[place % self.size][place // self.size] for place in range(sum(map(len, shares)))
        ]

    def add_counts(self, counts: dict[str, float]) -> dict[str, float]:
        """Sums by name over the ranks; not every rank has every name."""
        totals: dict[str, float] = {}
        for said in self.gather(json.dumps(counts)):
            for name, value in json.loads(said).items():
                totals[name] = totals.get(name, 0.0) + value
        return totals

    def from_first(self, make: Callable[[], bytes]) -> bytes:
        """What the first rank makes; the others wait for it."""
        made = make() if self.is_first else b""
        if self.is_alone:
            return made
        length = self.total(len(made))
        pieces = []
        for start in range(0, length, PIECE_BYTES):
            size = min(PIECE_BYTES, length - start)
            piece = np.zeros(size, np.uint8)
            if self.is_first:
                piece = np.frombuffer(made, np.uint8, size, start)
            summed = mx.distributed.all_sum(mx.array(piece), group=self.group)
            pieces.append(self._bytes(summed))
        return b"".join(pieces)

    def _done(self, array: mx.array) -> mx.array:
        """An evaluated sum or collection; the time it took counts as waiting.

        Raises:
            RankLostError: another rank is gone.
        """
        started = time.perf_counter()
        try:
            mx.eval(array)
        except RuntimeError as error:
            raise RankLostError(
                f"Another rank of the run is gone ({_said(error)}).",
                "What it said is above. Go on from the last checkpoint with: opd resume.",
            ) from error
        finally:
            self.waited.seconds += time.perf_counter() - started
        return array

    def _bytes(self, array: mx.array) -> bytes:
        return np.array(self._done(array), np.uint8).tobytes()

    def _ints(self, array: mx.array) -> list[int]:
        return [int(value) for value in np.array(self._done(array))]


Summed = tuple[dict[str, object], float]

ALONE = Ranks()
_these: ContextVar[Ranks] = ContextVar("ranks", default=ALONE)


def this_process() -> Ranks:
    """The ranks that this process trains with: itself alone, unless it was started as one."""
    return _these.get()


@contextmanager
def joined(backend: str) -> Iterator[Ranks]:
    """Meet the other ranks, as `mlx.launch` told this process to, for the block.

    Raises:
        RankLostError: they cannot be met.
    """
    try:
        group = mx.distributed.init(strict=True, backend=backend)
    except (RuntimeError, ValueError) as error:
        raise RankLostError(
            f"The ranks could not meet over {backend} ({_said(error)}).",
            "Look at them with: opd hosts check.",
        ) from error
    token = _these.set(Ranks(group.rank(), group.size(), group))
    try:
        yield _these.get()
    finally:
        _these.reset(token)


def _said(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
