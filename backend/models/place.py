"""Where models come from and lie: the hub and its cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, get_token


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
