"""Keeps other sites' pages from changing anything here, and everybody from asking too often."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from plumbline_edge.web.problems import PROBES, problem

HEADER: Final = "x-plumbline"
"""A page of another site cannot send it without being allowed to first, and nobody is."""
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_CLIENTS: Final = 1000
"""Whose allowance is remembered."""


@dataclass
class Allowance:
    """What is left to a client; it grows again with time."""

    left: float
    at: float


class RateLimit:
    """Token buckets by name: `burst` at once, then so many a second."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clients: OrderedDict[str, Allowance] = OrderedDict()
        self._lock = threading.Lock()

    def wait_seconds(self, client: str, now: float) -> float:
        """0 and one less left to this client, or how long it has to wait at this time.monotonic()."""
        with self._lock:
            had = self._clients.pop(client, None) or Allowance(self._burst, now)
            left = min(self._burst, had.left + (now - had.at) * self._per_second)
            self._clients[client] = Allowance(left - 1 if left >= 1 else left, now)
            if len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
            return 0.0 if left >= 1 else (1 - left) / self._per_second


class Guard:
    """ASGI middleware: 429 for who asks too often, 403 for a change that another site's page asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._reads = RateLimit(per_second=50, burst=100)
        self._changes = RateLimit(per_second=2, burst=20)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it."""
        answer = self._answer(Request(scope)) if scope["type"] == "http" else None
        await (self._app if answer is None else answer)(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        if request.scope["path"] in PROBES:
            return None
        reads = request.method in READING
        client = request.client.host if request.client else ""
        wait = (self._reads if reads else self._changes).wait_seconds(client, time.monotonic())
        if wait > 0:
            message = f"more requests than are allowed; wait {wait:.1f} s"
            return problem(429, "too_many_requests", message, {"Retry-After": str(int(wait) + 1)})
        if reads or (HEADER in request.headers and _is_own(request)):
            return None
        return problem(403, "cross_site", "a change needs the header 'X-Plumbline: 1', and no other site's Origin")


def _is_own(request: Request) -> bool:
    """Whether a browser that says where a request comes from names this very site."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    except ValueError:  # no URL at all, such as http://[
        return False
