"""The OpenAPI document: every problem a route can answer, and what the streams say."""

from __future__ import annotations

from typing import TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import JsonValue, TypeAdapter
from pydantic.json_schema import models_json_schema

from backend.history.views import View
from backend.live.messages import (
    DownloadsMessage,
    EventsMessage,
    PingMessage,
    QueueMessage,
    RunChangedMessage,
    RunRemovedMessage,
    SnapshotMessage,
    StateMessage,
    SystemMessage,
)
from backend.problems import PROBLEM_TYPE, Problem
from backend.scopes import scope_of
from backend.v1.answers import ChatCompletionChunk
from backend.v1.errors import ROOT, OpenAIError

Document: TypeAlias = dict[str, JsonValue]

RUN_STREAM = (SnapshotMessage, EventsMessage, StateMessage, PingMessage)
WORKSPACE_STREAM = (
    QueueMessage,
    RunChangedMessage,
    RunRemovedMessage,
    DownloadsMessage,
    SystemMessage,
)
MUTATIONS = ("post", "put", "patch", "delete")
OPEN_PATHS = ("/api/health",)
_REFERENCE = "#/components/schemas/"

EVERYWHERE = {
    "400": "The path or the JSON is not acceptable.",
    "401": "The token is missing or wrong.",
    "403": "The request comes from another site.",
    "421": "The Host is not this backend's.",
}
WITH_BODY = {"413": "The body is too large.", "415": "The body has the wrong type."}
WITH_INPUT = {"422": "A field is wrong; `errors` says which."}


def install_openapi(app: FastAPI) -> None:
    """Give an application the complete document."""

    def openapi() -> Document:
        if app.openapi_schema is None:
            app.openapi_schema = describe_api(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def describe_api(app: FastAPI) -> Document:
    """Make the document of an application's routes."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    models = (Problem, OpenAIError, ChatCompletionChunk, *RUN_STREAM, *WORKSPACE_STREAM)
    _, more = models_json_schema(
        [(model, "serialization") for model in models], ref_template=_REFERENCE + "{model}"
    )
    for name, schema in more["$defs"].items():
        schemas.setdefault(name, schema)
    schemas["RunStreamMessage"] = _union(RUN_STREAM)
    schemas["WorkspaceStreamMessage"] = _union(WORKSPACE_STREAM)
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return TypeAdapter(dict[str, JsonValue]).validate_python(document)


def _union(models: tuple[type[View], ...]) -> Document:
    references = {
        str(model.model_fields["kind"].default): f"{_REFERENCE}{model.__name__}" for model in models
    }
    return {
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "kind", "mapping": dict(references)},
    }


def _complete(path: str, method: str, operation: dict[str, dict[str, JsonValue]]) -> None:
    reasons = dict(EVERYWHERE)
    if method in MUTATIONS:
        reasons |= WITH_BODY
    if "parameters" in operation or "requestBody" in operation:
        reasons |= WITH_INPUT
    responses = operation["responses"]
    media_type, model = (PROBLEM_TYPE, "Problem")
    if path.startswith(ROOT):
        media_type, model = ("application/json", "OpenAIError")
        responses.pop("422", None)
        reasons.pop("422", None)  # a wrong field is a 400 there
    for status, reason in reasons.items():
        responses[status] = {
            "description": reason,
            "content": {media_type: {"schema": {"$ref": _REFERENCE + model}}},
        }
    operation["x-scope"] = scope_of(method.upper(), path)  # type: ignore[assignment]
    if path not in OPEN_PATHS:
        operation.update({"security": [{"token": []}]})  # type: ignore[dict-item]
