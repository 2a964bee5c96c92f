"""Small files that only the user may read: what they hold opens something."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from OnPolicyDistill.files import disk_errors


def write_for_user_alone(file: Path, text: str) -> None:
    """Replace a file that nobody else could read at any moment.

    Raises:
        DiskFullError: there is no room for it.
    """
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}.tmp")
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
