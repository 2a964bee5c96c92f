"""The teacher cache: what the teacher said about exact token ids, kept in memory, bounded in bytes.

It knows neither models nor files. Entries are tuples of evaluated arrays; the least recently used
go first. A key names everything the entry depends on, so a changed teacher, quantization, adapter,
tokenizer, form or token can never be served a stale answer.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

Entry = tuple[mx.array, ...]


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What an entry is about.

    `teacher` is the policy's fingerprint (weights, quantization, adapter, tokenizer), `form` what
    was asked (hidden states, or top-k with its k and temperature, or the state of a prefix), and
    `tokens` a digest of the exact ids with the place where the completion starts.
    """

    teacher: str
    form: str
    tokens: bytes


def digest_tokens(ids: Sequence[int], start: int) -> bytes:
    """Hash exact token ids and the completion's first index."""
    return hashlib.blake2b(array("q", [start, *ids]).tobytes(), digest_size=16).digest()


class TeacherCache:
    """Least-recently-used entries within `capacity_bytes`; counts hits, misses and evictions."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.num_bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._entries: OrderedDict[CacheKey, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: CacheKey) -> bool:
        return key in self._entries

    def get(self, key: CacheKey) -> Entry | None:
        """Return the entry and mark it as used, or None; counts the hit or miss."""
        entry = self.peek(key)
        self.hits += entry is not None
        self.misses += entry is None
        return entry

    def peek(self, key: CacheKey) -> Entry | None:
        """Return the entry and mark it as used, or None, without counting."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: CacheKey, entry: Entry) -> bool:
        """Keep an entry, evicting older ones; False when it is larger than the whole cache."""
        size = entry_bytes(entry)
        if size > self.capacity_bytes:
            return False
        self._drop(key)
        while self.num_bytes + size > self.capacity_bytes:
            oldest = next(iter(self._entries))
            self._drop(oldest)
            self.evictions += 1
        mx.eval(*entry)
        self._entries[key] = entry
        self.num_bytes += size
        return True

    def metrics_since(self, seen: tuple[int, int]) -> dict[str, float]:
        """Bytes held, evictions, and the hit rate since there were `seen` hits and misses."""
        hits, misses = self.hits - seen[0], self.misses - seen[1]
        metrics = {
            "teacher_cache_mb": self.num_bytes / 1e6,
            "teacher_cache_evictions": float(self.evictions),
        }
        if hits + misses:
            metrics["teacher_cache_hit_rate"] = hits / (hits + misses)
        return metrics

    def clear(self) -> None:
        """Forget everything; the counts stay."""
        self._entries.clear()
        self.num_bytes = 0

    def _drop(self, key: CacheKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.num_bytes -= entry_bytes(entry)


def entry_bytes(entry: Entry) -> int:
    """Size of an entry's arrays in bytes."""
    return sum(array.nbytes for array in entry)
