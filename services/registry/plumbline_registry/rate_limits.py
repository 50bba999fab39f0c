"""How often one address may ask, in this process; a proxy in front limits replicas together."""

from __future__ import annotations

from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plumbline_registry.api.responses import error_answer
from plumbline_registry.errors import TooManyRequests
from plumbline_registry.settings import Settings

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FREE: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What an operator's machines ask, however busy others are."""
_REFUSED_TOKEN: Final = 401


class RateLimits:
    """ASGI middleware; a refusal costs no database and no disk."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._per_minute = {
            "reads": settings.reads_per_minute,
            "writes": settings.writes_per_minute,
            "refused tokens": settings.refusals_per_minute,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _FREE:
            await self._app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else "unknown"
        kind = "reads" if scope["method"] in _READS else "writes"
        has_token = any(name == b"authorization" for name, _ in scope["headers"])
        if has_token and not self._may("refused tokens", address, take=False):
            await self._refuse("refused tokens", scope, receive, send)
            return
        if not self._may(kind, address, take=True):
            await self._refuse(kind, scope, receive, send)
            return

        async def watching_send(message: Message) -> None:
            if message["type"] == "http.response.start" and has_token and message["status"] == _REFUSED_TOKEN:
                self._may("refused tokens", address, take=True)
            await send(message)

        await self._app(scope, receive, watching_send)

    def _may(self, kind: str, address: str, *, take: bool) -> bool:
        allowed = self._per_minute[kind]
        if allowed == 0:
            return True
        ask = self._limiter.hit if take else self._limiter.test
        return ask(RateLimitItemPerMinute(allowed), kind, address)

    async def _refuse(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        error = TooManyRequests(f"more than {self._per_minute[kind]} {kind} a minute from this address; wait a minute")
        await error_answer(error, {"Retry-After": "60", "Connection": "close"})(scope, receive, send)
