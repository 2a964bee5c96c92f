"""Errors as problem+json (RFC 9457): what happened, what to do, and which field is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from OnPolicyDistill.errors import (
    ConfigError,
    DiskFullError,
    DistillError,
    InputError,
    MemoryInUseError,
    RunError,
    StoppedError,
)

PROBLEM_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One wrong field: `distillation.temperature`, `query.limit`, `body.tags.0`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    location: str
    message: str


class Problem(BaseModel):
    """The body of every error response."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = "about:blank"
    title: str = Field(description="The HTTP status in words.")
    status: int
    code: str = Field(description="A stable word for programs.")
    detail: str = Field(description="What happened.")
    action: str = Field("", description="What can be done.")
    errors: tuple[FieldProblem, ...] = Field((), description="Wrong fields, where known.")


class RefusedError(DistillError):
    """A request that is not carried out, with its HTTP status.

    `retry_seconds` is when the same request may fare better, where that is a matter of time.
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        action: str = "",
        retry_seconds: int | None = None,
    ) -> None:
        super().__init__(message, action)
        self.status = status
        self.problem_code = code
        self.retry_seconds = retry_seconds


class NotFoundError(RefusedError):
    """What the path names is not there."""

    def __init__(self, message: str, action: str = "") -> None:
        super().__init__(HTTPStatus.NOT_FOUND, "not_found", message, action)


class ConflictError(RefusedError):
    """The state of things does not allow it now."""

    def __init__(self, message: str, action: str = "", code: str = "conflict") -> None:
        super().__init__(HTTPStatus.CONFLICT, code, message, action)


class WrongFieldError(RefusedError):
    """One field of a request is wrong."""

    def __init__(self, location: str, message: str) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", message)
        self.location = location


_STATUS_OF: tuple[tuple[type[DistillError], HTTPStatus], ...] = (
    (DiskFullError, HTTPStatus.INSUFFICIENT_STORAGE),
    (MemoryInUseError, HTTPStatus.CONFLICT),
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (RunError, HTTPStatus.CONFLICT),
    (StoppedError, HTTPStatus.CONFLICT),
)


def problem_of(error: DistillError) -> Problem:
    """Translate an error of the library or the backend."""
    errors: tuple[FieldProblem, ...] = ()
    if isinstance(error, ConfigError):
        errors = tuple(
            FieldProblem(location=where, message=what) for where, what in error.locations
        )
    if isinstance(error, WrongFieldError):
        errors = (FieldProblem(location=error.location, message=error.message),)
    if isinstance(error, RefusedError):
        status, code = error.status, error.problem_code
    else:
        known = (status for kind, status in _STATUS_OF if isinstance(error, kind))
        status, code = next(known, HTTPStatus.INTERNAL_SERVER_ERROR), error.code
    detail = str(error).removesuffix(error.action).strip()
    return describe(status, code, detail, error.action, errors)


def describe(
    status: HTTPStatus,
    code: str,
    detail: str,
    action: str = "",
    errors: tuple[FieldProblem, ...] = (),
) -> Problem:
    """Make a problem; its title is the status in words."""
    return Problem(
        title=status.phrase,
        status=status.value,
        code=code,
        detail=detail,
        action=action,
        errors=errors,
    )


# How a problem becomes an answer, by the path that was asked.
Writing = Callable[[str, Problem, Mapping[str, str]], Response]


def write_problem(_path: str, problem: Problem, headers: Mapping[str, str]) -> Response:
    """Make the response that carries a problem."""
    return Response(
        problem.model_dump_json(), problem.status, headers=dict(headers), media_type=PROBLEM_TYPE
    )


def install_problem_handlers(app: Starlette, write: Writing = write_problem) -> None:
    """Answer every kind of error of an application with a problem."""
    kinds: tuple[tuple[type[Exception], Callable[[Request, Exception], Problem]], ...] = (
        (DistillError, _of_distill_error),
        (RequestValidationError, _of_validation_error),
        (HTTPException, _of_http_error),
        (Exception, _of_crash),
    )
    for kind, describing in kinds:
        app.add_exception_handler(kind, _handler(describing, write))


def _handler(
    describing: Callable[[Request, Exception], Problem], write: Writing
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        return write(request.url.path, describing(request, error), _headers_of(error))

    return answer


def _headers_of(error: Exception) -> Mapping[str, str]:
    if isinstance(error, RefusedError) and error.retry_seconds is not None:
        return {"Retry-After": str(error.retry_seconds)}
    return (error.headers if isinstance(error, HTTPException) else None) or {}


def _of_distill_error(_request: Request, error: Exception) -> Problem:
    assert isinstance(error, DistillError)
    return problem_of(error)


def _of_validation_error(_request: Request, error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    errors = tuple(
        FieldProblem(
            location=".".join(str(part) for part in problem["loc"]),
            message=str(problem["msg"]).removeprefix("Value error, "),
        )
        for problem in error.errors()
    )
    listed = "; ".join(f"{field.location}: {field.message}" for field in errors)
    return describe(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        f"The request is not as described: {listed}.",
        errors=errors,
    )


def _of_http_error(request: Request, error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}.",
    }.get(status, str(error.detail))
    return describe(status, status.name.lower(), detail)


def _of_crash(_request: Request, _error: Exception) -> Problem:
    return describe(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "The backend failed at this request; its output has the traceback.",
        "Please report it with the steps that led here.",
    )
