"""The workspace's stream tells how downloads go, to whoever listens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from backend.downloads.record import DownloadRecord, write_record
from backend.settings import BackendSettings
from tests.backend.conftest import TOKEN, served

pytestmark = pytest.mark.timeout(60)
DOWNLOAD_ID = "models--a--b"


def write(settings: BackendSettings, **changes: object) -> Path:
    folder = settings.workspace / "downloads"
    folder.mkdir(exist_ok=True)
    values = {"id": DOWNLOAD_ID, "hub_id": "a/b", "cache_dir": "x", "state": "failed",
              "created": 1.0, "updated": 1.0, **changes}  # fmt: skip
    write_record(folder / f"{DOWNLOAD_ID}.json", DownloadRecord.model_validate(values))
    return folder / f"{DOWNLOAD_ID}.json"


def next_downloads(reader: ClientConnection) -> list[dict[str, object]]:
    while True:
        got = json.loads(reader.recv(timeout=30))
        if got["kind"] == "downloads":
            found: list[dict[str, object]] = got["downloads"]
            return found


def test_downloads_are_told_at_first_and_whenever_one_changes(settings: BackendSettings) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with served(settings) as (_, port):
        file = write(settings, done_bytes=1)
        address = f"ws://127.0.0.1:{port}/api/stream"
        with connect(address, additional_headers=headers) as reader:
            assert [each["done_bytes"] for each in next_downloads(reader)] == [1]
            write(settings, done_bytes=2)
            while next_downloads(reader)[0]["done_bytes"] != 2:
                pass
            file.unlink()
            while next_downloads(reader):
                pass
