"""Request bodies, piece by piece: counted against a limit, timed, and never whole in memory unless small."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from plumbline_registry.errors import UploadInterrupted, UploadStalled, UploadTooLarge


async def body_chunks(request: Request, limit_bytes: int, idle_seconds: float) -> AsyncIterator[bytes]:
    """The body's chunks as they arrive.

    Raises UploadTooLarge (before the first byte if Content-Length tells), UploadStalled, UploadInterrupted.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _too_large(f"the body has {declared} bytes", limit_bytes)
    received = 0
    async for chunk in _timed(request, idle_seconds):
        received += len(chunk)
        if received > limit_bytes:
            raise _too_large("the body goes on", limit_bytes)
        yield chunk


async def read_small_body(request: Request, limit_bytes: int, idle_seconds: float) -> bytes:
    """The whole body. Raises what `body_chunks` raises."""
    return b"".join([chunk async for chunk in body_chunks(request, limit_bytes, idle_seconds)])


def _too_large(what: str, limit_bytes: int) -> UploadTooLarge:
    return UploadTooLarge(f"{what}; this registry takes at most {limit_bytes} bytes here")


async def _timed(request: Request, idle_seconds: float) -> AsyncIterator[bytes]:
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise UploadStalled(
                f"nothing came for {idle_seconds:g} s in the middle of the body; send it again"
            ) from error
        except ClientDisconnect as error:
            raise UploadInterrupted("the connection closed in the middle of the body; send it again") from error
        yield chunk
