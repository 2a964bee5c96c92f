"""Where models come from and lie: the hub and its cache, and what a machine can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
from huggingface_hub import constants, get_token

from OnPolicyDistill.planning.advice import Verdict, verdict_of
from OnPolicyDistill.planning.chips import OTHER_PROCESSOR, this_chip
from OnPolicyDistill.planning.memory import RUNTIME_BYTES
from OnPolicyDistill.planning.plan import OTHER_SHARE, gpu_limit


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub's address, None for its own, and the folder of what was downloaded from it."""

    cache_dir: Path = Path(constants.HF_HUB_CACHE)
    endpoint: str | None = None

    def folder_of(self, hub_id: str) -> Path:
        """Return where the cache keeps everything of a repository."""
        return self.cache_dir / cache_name(hub_id)


def cache_name(hub_id: str) -> str:
    """Return the cache's folder name of a hub id: models--org--name."""
    return "--".join(("models", *hub_id.split("/")))


def hub_headers() -> dict[str, str]:
    """Return who asks the hub, with the user's token where there is one."""
    token = get_token()
    plain = {"user-agent": "OnPolicyDistill"}
    return plain if token is None else {**plain, "authorization": f"Bearer {token}"}


def memory_limit() -> int:
    """Bytes that a model may use on this machine."""
    total = psutil.virtual_memory().total
    return round(total * OTHER_SHARE) if this_chip() is OTHER_PROCESSOR else gpu_limit(total)


def fits(weight_bytes: int, limit: int) -> Verdict:
    """Say whether a model's weights fit on this machine, with what MLX itself needs."""
    return verdict_of(weight_bytes + RUNTIME_BYTES, limit)
