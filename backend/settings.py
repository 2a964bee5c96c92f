"""What one backend process needs to know; every limit once, with its default."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

from backend.supervisor.ending import GRACE_SECONDS

FRONTEND = Path(__file__).resolve().parent.parent / "frontend" / "dist"


def new_secret() -> str:
    """Return 32 random bytes as text."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """Sizes are bytes unless the name says GB (1e9 bytes); times are seconds."""

    workspace: Path
    port: int
    token: str = field(default_factory=new_secret, repr=False)
    link_token: str = field(default_factory=new_secret, repr=False)
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    dev_origins: tuple[str, ...] = ()
    frontend: Path = FRONTEND
    worker_command: tuple[str, ...] = (sys.executable, "-m", "OnPolicyDistill")
    stop_grace_seconds: float = GRACE_SECONDS
    min_free_disk_gb: float = 2.0
    min_free_memory_gb: float = 0.3
    max_json_bytes: int = 1_000_000
    max_bundle_bytes: int = 20_000_000_000
    follow_seconds: float = 0.1
    scan_seconds: float = 1.0
    heartbeat_seconds: float = 15.0
    slow_client_seconds: float = 10.0

    @property
    def runs(self) -> Path:
        """The folder of run folders."""
        return self.workspace / "runs"

    @property
    def trash(self) -> Path:
        """Deleted runs that can still be restored."""
        return self.workspace / "trash"

    @property
    def scratch(self) -> Path:
        """Half-received uploads; emptied at every start."""
        return self.workspace / "scratch"

    @property
    def own_origins(self) -> tuple[str, ...]:
        """How a page of this backend calls itself."""
        return tuple(f"http://{host}" for host in self.own_hosts)

    @property
    def own_hosts(self) -> tuple[str, ...]:
        """The only `Host` headers that are answered."""
        return tuple(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))
