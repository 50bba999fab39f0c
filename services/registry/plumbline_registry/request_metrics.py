"""Times every request under its route's template, so that names and digests never become labels."""

from __future__ import annotations

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plumbline_registry.metrics import Metrics

_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"})


class RequestMetrics:
    """ASGI middleware; sees the last byte of a streamed response go out, which a wrapped Response would not."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begun_seconds = time.perf_counter()

        async def counting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                self._metrics.sent_bytes.inc(len(message.get("body", b"")))
            await send(message)

        try:
            await self._app(scope, receive, counting_send)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            labels = self._metrics.request_duration.labels(method, _route_template(scope), str(status))
            labels.observe(time.perf_counter() - begun_seconds)


def _route_template(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", None) or "unmatched"
