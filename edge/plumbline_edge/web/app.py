"""The HTTP face of the running service."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from importlib.resources import files
from typing import Final

from anyio import to_thread
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.running import RunningBundle
from plumbline_edge.view import LiveView, TooManyViewers
from plumbline_edge.web.access import Access, TokenGate
from plumbline_edge.web.state import BundleState, ServiceState, describe

BOUNDARY: Final = "plumbline-picture"
WAIT_SECONDS: Final = 0.5
NO_STORE: Final = {"Cache-Control": "no-store"}
PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:"
    ),
    **NO_STORE,
}


def create_app(
    pipeline: LivePipeline,
    view: LiveView,
    metrics: EdgeMetrics,
    running: RunningBundle,
    access: Access,
    *,
    stale_after_seconds: float,
) -> FastAPI:
    """The app of one running pipeline."""
    app = FastAPI(title="Plumbline edge", docs_url=None, redoc_url=None)
    app.add_middleware(TokenGate, access=access)
    page = files("plumbline_edge.web").joinpath("page.html").read_text(encoding="utf-8")

    def problem() -> str | None:
        """Why the service is not well; None when it is."""
        if pipeline.failure is not None:
            return f"stopped by a failure: {pipeline.failure}"
        if pipeline.frame_age_seconds > stale_after_seconds:
            return f"no frame for {pipeline.frame_age_seconds:.0f} s from {pipeline.source_name}"
        return None

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def show_page() -> HTMLResponse:
        return HTMLResponse(page, headers=PAGE_HEADERS)

    @app.get("/stream.mjpg", response_class=Response)
    async def stream() -> Response:
        """The live picture with its overlay, as MJPEG."""
        viewer = ExitStack()
        try:
            viewer.enter_context(view.viewer())
        except TooManyViewers:
            return _error(503, "too_many_viewers", "as many live pictures are being served as are allowed")
        media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        return StreamingResponse(_pictures(pipeline, view, viewer), media_type=media_type, headers=NO_STORE)

    @app.get("/api/state")
    def state() -> ServiceState:
        """What the person is doing, and how the service does."""
        return describe(pipeline, BundleState.of(running.bundle), time.monotonic())

    @app.get("/metrics", include_in_schema=False)
    def show_metrics() -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/healthz", response_class=JSONResponse)
    def healthz() -> Response:
        """200 while frames flow, 503 when none came for a while or the pipeline failed."""
        if found := problem():
            return _error(503, "unhealthy", found)
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", response_class=JSONResponse)
    def readyz() -> Response:
        """200 once the model is loaded and frames flow."""
        found = problem() or (None if pipeline.ready else "no frame has gone through the model yet")
        return _error(503, "not_ready", found) if found else JSONResponse({"status": "ready"})

    return app


async def _pictures(pipeline: LivePipeline, view: LiveView, viewer: ExitStack) -> AsyncIterator[bytes]:
    with viewer:
        number = 0
        while not pipeline.stop_requested.is_set():
            number, picture = await to_thread.run_sync(view.pictures.wait_newer, number, WAIT_SECONDS)
            if picture is not None:
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                yield head.encode() + picture + b"\r\n"


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
