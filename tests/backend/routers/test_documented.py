"""Routes with something behind their ids behave as the document says, whatever they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import schemathesis

from backend.app import create_api, guard
from backend.backend import Backend
from backend.downloads.record import DownloadRecord, write_record
from backend.models.place import Hub
from backend.settings import BackendSettings
from backend.workbench import Workbench
from tests.backend.test_openapi import BEARER, disagreements
from tests.backend.tiny import write_jsonl, write_tiny_model

ROUTES = (
    "/api/presets", "/api/schema/fields", "/api/chips", "/api/plan", "/api/check", "/api/pair",
    "/api/models", "/api/hub", "/api/downloads", "/api/prompt-sets", "/api/playground",
)  # fmt: skip
UPLOADS = ("application/jsonl", "application/x-ndjson", "application/octet-stream")
DOWNLOAD_ID = "models--a--b"


@schemathesis.serializer(*UPLOADS)
def write_as_bytes(_context: schemathesis.SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture
def schema(
    settings: BackendSettings, backend: Backend, tmp_path: Path
) -> Iterator[schemathesis.BaseSchema]:
    """A backend with a model, a prompt set and a broken-off download, and no hub."""
    api = create_api(backend)
    bench = api.state.workbench = Workbench(backend, Hub(tmp_path / "cache", "http://127.0.0.1:9"))
    model = write_tiny_model(tmp_path / "model")
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "a"}])
    known = {
        "model_id": bench.library.add_folder(model).id,
        "set_id": bench.prompt_sets.register(prompts, None).id,
        "download_id": DOWNLOAD_ID,
    }
    (settings.workspace / "downloads").mkdir()
    record = DownloadRecord(
        id=DOWNLOAD_ID, hub_id="a/b", cache_dir="x", state="running", created=0, updated=0
    )
    write_record(settings.workspace / "downloads" / f"{DOWNLOAD_ID}.json", record)
    made = schemathesis.openapi.from_asgi("/api/openapi.json", guard(api, backend), headers=BEARER)
    turns = count()

    @made.hook
    def map_path_parameters(
        _context: schemathesis.HookContext, values: dict[str, object] | None
    ) -> dict[str, object] | None:
        if not values:
            return values
        return {key: known.get(key, value) if next(turns) % 3 else value
                for key, value in values.items()}  # fmt: skip

    @made.hook
    def map_query(
        _context: schemathesis.HookContext, values: dict[str, object] | None
    ) -> dict[str, object] | None:
        if values and "model" in values and next(turns) % 2:
            return {**values, "model": str(model)}
        return values

    yield made
    for download in bench.downloads.list():
        bench.downloads.cancel(download.id)


@pytest.mark.timeout(300)
def test_routes_with_something_behind_them_answer_as_documented(
    schema: schemathesis.BaseSchema,
) -> None:
    operations = [found.ok() for found in schema.get_all_operations()]
    ours = [operation for operation in operations if operation.path.startswith(ROUTES)]
    assert len(ours) >= 25
    found = [text for operation in ours for text in disagreements(operation, 5)]
    assert not found, "\n\n".join(found)
