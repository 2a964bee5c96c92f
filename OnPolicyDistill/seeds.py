"""Random seeds: the config's one seed gives an independent one for every use."""

from __future__ import annotations

import hashlib

MAX_SEED = 2**31 - 1


def derive_seed(seed: int, purpose: str, counter: int) -> int:
    """Return an independent 31-bit seed for one use, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}:{purpose}:{counter}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & MAX_SEED
