"""How errors leave the API: problem details (RFC 9457) that name the field and say what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from learning_core import errors
from learning_core.feedback.entries import describe

log = logging.getLogger(__name__)

STATUS: dict[type[errors.LearningError], int] = {
    errors.NotSignedIn: 401,
    errors.NotPermitted: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NotEnoughData: 409,
    errors.BudgetSpent: 409,
    errors.InvalidInput: 422,
    errors.TooManyRequests: 429,
    errors.ModelFailed: 502,
    errors.Unavailable: 503,
}

TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    502: "The model failed",
    503: "Unavailable",
}


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    message: str


class Problem(BaseModel):
    """Problem details after RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of an endpoint's problems for its OpenAPI page; 400 can meet any of them."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": TITLES[status], "content": content} for status in (400, *sorted(statuses))
    }


def problem(
    status: int,
    detail: str,
    fields: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Build the answer that carries a problem."""
    body = Problem(title=TITLES.get(status, "Problem"), status=status, detail=detail, errors=list(fields))
    return JSONResponse(body.model_dump(), status, headers=headers, media_type="application/problem+json")


def field_errors(found: Sequence[Any]) -> list[FieldError]:
    """Put pydantic's errors into a reader's words."""
    return [FieldError(field=_field(error["loc"]), message=describe(error)) for error in found]


def _field(location: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in location if part not in ("body", "query", "path"))


def _learning_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.LearningError)  # noqa: S101 - FastAPI hands over what it was asked to
    headers = {}
    if isinstance(error, errors.NotSignedIn):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_s)
    fields = [FieldError(field=error.field, message=error.message)] if error.field else []
    return problem(STATUS.get(type(error), 500), error.message, fields, headers)


def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - FastAPI hands over what it was asked to
    return invalid(field_errors(error.errors()))


def invalid(fields: list[FieldError]) -> JSONResponse:
    """Build the answer to a request whose fields do not hold up."""
    first = fields[0]
    detail = f"{first.field}: {first.message}" if first.field else first.message
    return problem(422, detail, fields)


def _http_exception(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - FastAPI hands over what it was asked to
    return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "Something went wrong on our side; it has been logged.")


HANDLERS: dict[type[Exception], Callable[[Request, Exception], JSONResponse]] = {
    errors.LearningError: _learning_error,
    RequestValidationError: _invalid_request,
    HTTPException: _http_exception,
    Exception: _unexpected,
}
