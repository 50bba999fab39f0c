"""Errors as the page and scripts see them: one shape, {"error": {"code": ..., "message": ...}}."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from plumbline_contract.errors import PlumblineError
from plumbline_edge.errors import (
    DiaryUnusable,
    KeypointsForgotten,
    NoSetUnderWay,
    PixelsStayHidden,
    ReportUnderWay,
    SetTooLong,
    SetUnderWay,
    StateUnwritable,
    UnknownExercise,
    UnknownSet,
)

STATUS: Final[dict[type[PlumblineError], tuple[int, str]]] = {
    UnknownExercise: (404, "unknown_exercise"),
    UnknownSet: (404, "unknown_set"),
    SetUnderWay: (409, "set_under_way"),
    NoSetUnderWay: (409, "no_set_under_way"),
    PixelsStayHidden: (409, "pixels_stay_hidden"),
    KeypointsForgotten: (410, "keypoints_forgotten"),
    SetTooLong: (413, "set_too_long"),
    ReportUnderWay: (429, "report_under_way"),
    DiaryUnusable: (503, "diary_unusable"),
    StateUnwritable: (503, "state_unwritable"),
}
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Numbers alone, for probes and Prometheus, which nobody is kept from: no picture and nothing that could be changed."""
RETRY_SECONDS: Final = 10
"""After which a report that was under way may be made."""
HTTP_CODES: Final = {404: "not_found", 405: "method_not_allowed"}


class ProblemDetail(BaseModel):
    """A code for programs and a message for people."""

    code: str
    message: str


class Problem(BaseModel):
    """The body of every answer that is an error."""

    error: ProblemDetail


def problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a request that could not be met."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route may answer with, for OpenAPI."""
    return {status: {"model": Problem} for status in (*statuses, 401, 429)}


def changes(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same of a route that changes something."""
    return answers(*statuses, 403)


def answer_errors(app: FastAPI) -> None:
    """Give every error of this app the one shape."""

    @app.exception_handler(PlumblineError)
    def known(_request: Request, error: PlumblineError) -> JSONResponse:
        status, code = STATUS.get(type(error), (500, "internal"))
        return problem(status, code, str(error), {"Retry-After": str(RETRY_SECONDS)} if status == 429 else None)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return problem(422, "invalid", f"{where} is {first.get('input')!r}: {first['msg']}; /openapi.json says how")

    @app.exception_handler(HTTPException)
    def http(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, HTTP_CODES.get(error.status_code, "http"), str(error.detail))
