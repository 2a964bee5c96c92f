"""Errors under /v1 as OpenAI writes them, elsewhere as problems."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi.responses import Response
from pydantic import Field

from backend.history.views import View
from backend.problems import Problem, write_problem

ROOT = "/v1/"
MODEL_NOT_FOUND = "model_not_found"
# What the playground calls the parts of a request's `model`.
_PARTS_OF_MODEL = ("body.student_model", "body.checkpoint")
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


class OpenAIFault(View):
    """What happened."""

    message: str = Field(description="What happened, and what can be done.")
    type: str = Field(description="A kind that clients know, such as invalid_request_error.")
    param: str | None = Field(description="The field that is wrong, where one is.")
    code: str = Field(description="A stable word for programs.")


class OpenAIError(View):
    """The body of every error under /v1."""

    error: OpenAIFault


def write_in_form(path: str, problem: Problem, headers: Mapping[str, str]) -> Response:
    """Make the response that carries a problem, in the form that the path's clients know."""
    if not path.startswith(ROOT):
        return write_problem(path, problem, headers)
    return Response(
        openai_error(problem).model_dump_json(),
        _status(problem),
        headers=dict(headers),
        media_type="application/json",
    )


def openai_error(problem: Problem) -> OpenAIError:
    """Say a problem in OpenAI's form."""
    first = next(iter(problem.errors), None)
    status = _status(problem)
    is_model = _is_of_model(problem)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return OpenAIError(
        error=OpenAIFault(
            message=f"{problem.detail} {problem.action}".strip(),
            type=_TYPES.get(status, kind),
            param=None if first is None or is_model else first.location.removeprefix("body."),
            code=MODEL_NOT_FOUND if is_model else problem.code,
        )
    )


def _status(problem: Problem) -> int:
    """Clients there know a wrong field as 400, and a model that is not there as 404."""
    if _is_of_model(problem):
        return HTTPStatus.NOT_FOUND.value
    wrong_field = HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.BAD_REQUEST.value if problem.status == wrong_field else problem.status


def _is_of_model(problem: Problem) -> bool:
    return any(field.location in _PARTS_OF_MODEL for field in problem.errors)
