"""Fetches one large file of the hub into its cache, going on in the middle where it stopped.

The hub's own client begins every unfinished file anew, which at 5 GB a file makes a cancel or a
lost connection expensive. A finished file lies where that client looks for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx
from huggingface_hub import HfFileMetadata

from backend.models.place import hub_headers
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.files import disk_errors

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 5
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(url: str, about: HfFileMetadata, folder: Path, progress: Callable[[int], None]) -> Path:
    """Fetch a file into a folder under its etag; `progress` hears the bytes that are there.

    Raises:
        ModelError: the connection broke too often, or what came is damaged.
        DiskFullError: the disk has no room for it.
    """
    assert about.etag is not None
    assert about.size is not None
    final, part = folder / about.etag, folder / f"{about.etag}.part"
    if final.is_file():
        progress(about.size)
        return final
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            _go_on(url, part, about.size, progress)
            break
        except httpx.HTTPError as error:
            if attempt == ATTEMPTS - 1:
                raise ModelError(
                    f"The connection to the hub broke {ATTEMPTS} times ({error}).",
                    "Resume it when the network is better; what is there is kept.",
                ) from error
    _check(part, about)
    part.replace(final)
    return final


def _go_on(url: str, part: Path, size: int, progress: Callable[[int], None]) -> None:
    start = part.stat().st_size if part.exists() else 0
    if start >= size:
        return
    # The request goes to the hub first, which sends us on; the token stays behind at that hop.
    headers = {**hub_headers(), "range": f"bytes={start}-"}
    with (
        disk_errors(part),
        httpx.stream(
            "GET", url, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=True
        ) as answer,
    ):
        answer.raise_for_status()
        # A server that cannot go on in the middle sends everything again.
        goes_on = answer.status_code == HTTPStatus.PARTIAL_CONTENT
        done = start if goes_on else 0
        with part.open("ab" if goes_on else "wb") as sink:
            for chunk in answer.iter_raw():
                sink.write(chunk)
                done += len(chunk)
                progress(done)


def _check(part: Path, about: HfFileMetadata) -> None:
    """Compare size, and content where the hub's etag is its hash; what is wrong is thrown away."""
    right = part.stat().st_size == about.size
    if right and about.etag is not None and _SHA256.fullmatch(about.etag):
        with part.open("rb") as stream:
            right = hashlib.file_digest(stream, "sha256").hexdigest() == about.etag
    if not right:
        part.unlink()
        raise ModelError("A file arrived damaged.", "Resume the download to fetch it again.")
