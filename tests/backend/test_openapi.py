"""The OpenAPI document is complete, and the backend behaves as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.app import create_api, guard
from backend.backend import Backend
from backend.guard import Guard
from backend.models.place import Hub
from backend.settings import BackendSettings
from backend.workbench import Workbench
from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.runs.annotations import Annotations, write_annotations
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from tests.backend.conftest import PORT, TOKEN, write_steps


def never_crashes(
    _context: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case
) -> None:
    """A 503 or 507 can be true and documented; a 500 is always a fault."""
    assert response.status_code != 500, response.text


CHECKS = (
    never_crashes,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
BEARER = {"authorization": f"Bearer {TOKEN}", "host": f"127.0.0.1:{PORT}"}


def make_app(workspace: Path) -> tuple[Guard, Backend]:
    backend = Backend(
        BackendSettings(
            workspace=workspace,
            port=PORT,
            token=TOKEN,
            worker_command=("/nowhere/python",),
            min_free_disk_gb=0.0,
            min_free_memory_gb=0.0,
        )
    )
    api = create_api(backend)
    # Nothing that is asked for here may reach the real hub.
    api.state.workbench = Workbench(backend, Hub(workspace / "hub", "http://127.0.0.1:9"))
    return guard(api, backend), backend


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guard, str]]:
    """A backend with one run in it; nothing runs."""
    workspace = tmp_path_factory.mktemp("openapi")
    app, backend = make_app(workspace)
    run = create_run(workspace, OnPolicyConfig())
    fill(run)
    backend.watcher.start()
    yield app, run.run_id
    downloads = Workbench(backend).downloads
    for download in downloads.list():
        downloads.cancel(download.id)
    backend.index.engine.dispose()


def fill(run: RunDirectory) -> None:
    write_steps(run, 5)
    write_annotations(run, Annotations(note="a note", tags=("tag",)))
    run.log_file.write_text("log")


def test_every_route_documents_its_problems(filled: tuple[Guard, str], backend: Backend) -> None:
    document = create_api(backend).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where, is_v1 = f"{method} {path}", path.startswith("/v1/")
            assert operation.get("summary"), where
            assert operation.get("description"), where
            responses = operation["responses"]
            assert {"400", "401", "403", "421"} <= responses.keys(), where
            if "{" in path and method != "delete":
                assert "404" in responses or "/queue/" in path, where
            for status, response in responses.items():
                if int(status) >= 400:
                    form = "application/json" if is_v1 else "application/problem+json"
                    assert list(response["content"]) == [form], where


def test_the_document_has_the_streams_and_no_foreign_errors(backend: Backend) -> None:
    document = create_api(backend).openapi()
    schemas = document["components"]["schemas"]
    assert {"RunStreamMessage", "WorkspaceStreamMessage", "EventsMessage", "Problem"} <= set(
        schemas
    )
    assert "HTTPValidationError" not in schemas
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in schemas, name


def discriminated(part: object) -> Iterator[dict[str, object]]:
    """Find every union with a discriminator."""
    if isinstance(part, dict):
        if "discriminator" in part and "oneOf" in part:
            yield part
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from discriminated(inner)


def test_every_discriminator_maps_each_kind_to_its_schema(backend: Backend) -> None:
    document = create_api(backend).openapi()
    schemas = document["components"]["schemas"]
    unions = list(discriminated(document))
    assert len(unions) > 3
    for union in unions:
        discriminator = union["discriminator"]
        key, mapping = discriminator["propertyName"], discriminator["mapping"]  # type: ignore[index]
        references = {one["$ref"] for one in union["oneOf"]}  # type: ignore[attr-defined]
        assert set(mapping.values()) == references
        for kind, reference in mapping.items():
            schema = schemas[reference.rpartition("/")[2]]["properties"][key]
            assert kind in (schema.get("const"), *schema.get("enum", ()))


@pytest.fixture(scope="module")
def api(filled: tuple[Guard, str]) -> schemathesis.BaseSchema:
    """The schema of a backend without its loops, with the one run's id where one is wanted."""
    app, run_id = filled
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=BEARER)

    @schema.hook
    def map_path_parameters(
        _context: schemathesis.HookContext, parameters: dict[str, object] | None
    ) -> dict[str, object] | None:
        if parameters and "run_id" in parameters and len(str(parameters["run_id"])) % 3:
            return {**parameters, "run_id": run_id}
        return parameters

    return schema


@schemathesis.serializer("application/zip")
def write_as_bytes(_context: schemathesis.SerializationContext, value: object) -> bytes:
    """Send generated text as it is: the backend finds out that it is no zip file."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def disagreements(operation: schemathesis.APIOperation, max_examples: int) -> list[str]:  # type: ignore[type-arg]
    """Call an operation with generated requests; returns how it behaved unlike its document."""

    @settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategies.one_of(*(operation.as_strategy(generation_mode=mode) for mode in MODES)))
    def call(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=BEARER, checks=list(CHECKS))

    try:
        call()
    except (FailureGroup, Failure) as failure:
        return [f"{operation.label}: {failure}"]
    return []


@pytest.mark.timeout(300)
def test_the_backend_answers_as_documented(api: schemathesis.BaseSchema) -> None:
    operations = [result.ok() for result in api.get_all_operations()]
    assert len(operations) > 30
    found = [text for operation in operations for text in disagreements(operation, 5)]
    assert not found, "\n\n".join(found)
