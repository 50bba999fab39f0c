"""The HTTP face of the running service."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from plumbline_edge.web.access import Access, TokenGate
from plumbline_edge.web.control_routes import add_controls
from plumbline_edge.web.diary_routes import add_diary
from plumbline_edge.web.guard import Guard
from plumbline_edge.web.live import add_live
from plumbline_edge.web.parts import Parts
from plumbline_edge.web.problems import Problem, answer_errors, problem
from plumbline_edge.web.static import add_page

DESCRIPTION: Final = """\
From this machine itself nothing but the address is needed; from elsewhere the page's token, as a cookie (a visit to
`/?token=...` sets it) or as `Authorization: Bearer ...`. Whatever changes something needs the header `X-Plumbline: 1`
and must not come from another site. Errors are `{"error": {"code": "...", "message": "..."}}`."""
UNWELL: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Problem}}


def create_app(parts: Parts, access: Access, *, stale_after_seconds: float) -> FastAPI:
    """The app of one running pipeline."""
    app = FastAPI(title="Plumbline edge", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.add_middleware(TokenGate, access=access)
    app.add_middleware(Guard)
    answer_errors(app)
    add_page(app)
    add_live(app, parts)
    add_controls(app, parts)
    add_diary(app, parts)
    _add_probes(app, parts, stale_after_seconds)
    _describe_security(app, access)
    return app


def _add_probes(app: FastAPI, parts: Parts, stale_after_seconds: float) -> None:
    pipeline = parts.pipeline

    def ailment() -> str | None:
        """Why the service is not well, without names and paths, as anybody may ask; None when it is."""
        if pipeline.failure is not None:
            return "stopped by a failure"
        if pipeline.frame_age_seconds > stale_after_seconds:
            return f"no frame for {pipeline.frame_age_seconds:.0f} s"
        return None

    @app.get("/metrics", response_class=Response, tags=["probes"])
    def metrics() -> Response:
        """For Prometheus."""
        return Response(parts.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    # These two read numbers, without a thread of the pool: they answer also where all of them wait.
    @app.get("/healthz", response_class=JSONResponse, responses=UNWELL, tags=["probes"])
    async def healthz() -> Response:
        """200 while frames flow, 503 when none came for a while or the pipeline failed."""
        if found := ailment():
            return problem(503, "unhealthy", found)
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", response_class=JSONResponse, responses=UNWELL, tags=["probes"])
    async def readyz() -> Response:
        """200 once the model is loaded and frames flow."""
        found = ailment() or (None if pipeline.ready else "no frame has gone through the model yet")
        return problem(503, "not_ready", found) if found else JSONResponse({"status": "ready"})


def _describe_security(app: FastAPI, access: Access) -> None:
    """Say in OpenAPI what the middleware asks for."""
    described = app.openapi
    schemes = {
        "token": {"type": "http", "scheme": "bearer", "description": "the page's token"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": access.cookie},
    }

    def openapi() -> dict[str, Any]:
        schema = described()
        schema.setdefault("components", {})["securitySchemes"] = schemes
        schema["security"] = [{"token": []}, {"cookie": []}, {}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to change the schema
