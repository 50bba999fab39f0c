"""Answers that more than one route gives: the one JSON shape of every error."""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from typing import Any, Final, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from plumbline_contract.errors import PlumblineError
from plumbline_registry.errors import (
    BAD_REQUEST,
    ERRORS,
    INTERNAL,
    NO_METHOD,
    NO_ROUTE,
    ErrorSpec,
    InvalidRequest,
    StorageFull,
    StorageUnavailable,
    TooManyRequests,
    spec_of,
)
from plumbline_registry.models import ErrorBody, ErrorDetail

_BY_STATUS: Final = {404: NO_ROUTE, 405: NO_METHOD}


_Model = TypeVar("_Model", bound=BaseModel)


def validated(kind: type[_Model], body: bytes) -> _Model:
    """A JSON body that a route read by hand, after the token; its faults look like those the framework finds."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems) from error


def error_responses(*kinds: type[PlumblineError]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of what a route can refuse; every route can also meet a failing storage,
    and everybody can ask too often."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for kind in (*kinds, TooManyRequests, StorageUnavailable, StorageFull):
        by_status[ERRORS[kind].status].append(ERRORS[kind].code)
    return {
        status: {"model": ErrorBody, "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}"}
        for status, codes in sorted(by_status.items())
    }


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of the application an ErrorBody."""
    app.add_exception_handler(PlumblineError, _plumbline_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)


def _answer(spec: ErrorSpec, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    body = ErrorBody(error=ErrorDetail(code=spec.code, message=message))
    return JSONResponse(body.model_dump(), status_code=spec.status, headers=headers)


def error_answer(error: PlumblineError, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to an error that happened outside of a route."""
    return _answer(spec_of(error), str(error), headers)


async def _plumbline_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PlumblineError)  # noqa: S101
    spec = spec_of(error)
    by_status = {401: {"WWW-Authenticate": "Bearer"}, 408: {"Connection": "close"}}
    return _answer(spec, str(error), by_status.get(spec.status))


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    problems = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
    return _answer(ERRORS[InvalidRequest], problems)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    spec = _BY_STATUS.get(error.status_code, BAD_REQUEST)._replace(status=error.status_code)
    headers = dict(error.headers) if error.headers else None
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(_methods(request))}
    return _answer(spec, f"{request.method} {request.url.path!r}: {error.detail}; see /docs", headers)


def _methods(request: Request) -> list[str]:
    """What an address takes, over all routes that match it; the framework's own answer names the first route's."""
    matching = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    ]
    return sorted({method for route in matching for method in route.methods or ()})


async def _internal_error(_request: Request, _error: Exception) -> JSONResponse:
    return _answer(INTERNAL, "the registry failed on this request; its log says why")
