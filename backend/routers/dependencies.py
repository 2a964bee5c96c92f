"""What routes take from outside, checked where it comes in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import HTTPConnection

from backend.backend import Backend
from backend.problems import PROBLEM_TYPE

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$"

RunId = Annotated[str, Path(pattern=NAME_PATTERN, description="The run's folder name.")]

Responses = dict[int | str, dict[str, object]]

_REASONS = {
    404: "There is no such thing.",
    409: "The state of things does not allow it now; the detail says why.",
    507: "The disk has no room for it.",
}


def current_backend(connection: HTTPConnection) -> Backend:
    """Return the backend that this application serves."""
    backend: Backend = connection.app.state.backend
    return backend


Here = Annotated[Backend, Depends(current_backend)]


def refusals(*statuses: int) -> Responses:
    """Document the problems that a route answers with beside those that every route can."""
    reference = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": _REASONS[status],
            "content": {PROBLEM_TYPE: {"schema": reference}},
        }
        for status in statuses
    }
