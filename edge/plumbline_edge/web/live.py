"""The live picture: with its state and frame numbers for the page, and as plain MJPEG for whatever shows that."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final

from anyio import CancelScope, move_on_after, to_thread
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Message, Receive, Scope, Send

from plumbline_edge.view import LivePicture, TooManyViewers
from plumbline_edge.web.parts import Parts
from plumbline_edge.web.problems import answers, problem
from plumbline_edge.web.state import BundleState, ServiceState, describe
from plumbline_edge.web.static import NO_STORE, PROTECTION

BOUNDARY: Final = "plumbline-picture"
WAIT_SECONDS: Final = 0.5
SEND_SECONDS: Final = 10.0
"""A viewer that takes nothing for so long is dropped, as its place may be another's."""
LIVE_TYPE: Final = "application/x-plumbline-live"
LIVE_FORMAT: Final = """\
Messages one after the other, each two big-endian 32-bit lengths, then so many bytes of JSON, then so many of JPEG
(none while no new picture comes). The JSON holds `frame`, the picture's number, `pose_frame`, the number of the frame
in which the pose drawn on it was found, `shows_pixels`, false where it is the skeleton alone, `captured_at_ms` and
`sent_at_ms` (since 1970, by the device's clock) and `state`, as /api/state gives it."""
LENGTHS: Final = struct.Struct(">II")


class Clock(BaseModel):
    """Milliseconds since 1970."""

    clock_ms: float


class LiveMessages:
    """The message of each picture, made once for all viewers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._made: tuple[int, bytes] = (0, b"")

    def of(self, number: int, picture: LivePicture | None) -> bytes:
        """The message with this picture, or with the state alone."""
        if picture is None or not self._parts.view.may_be_sent(picture):
            return self._message(None)
        with self._lock:
            if self._made[0] != number:
                self._made = (number, self._message(picture))
            return self._made[1]

    def _message(self, picture: LivePicture | None) -> bytes:
        now, clock_ms = time.monotonic(), 1000 * time.time()
        content: dict[str, Any] = {"state": state_of(self._parts).model_dump(mode="json"), "sent_at_ms": clock_ms}
        if picture is not None:
            content |= {"frame": picture.frame, "pose_frame": picture.pose_frame, "shows_pixels": picture.shows_pixels}
            content["captured_at_ms"] = clock_ms - 1000 * (now - picture.captured_at)
        text, jpeg = json.dumps(content).encode(), b"" if picture is None else picture.jpeg
        return LENGTHS.pack(len(text), len(jpeg)) + text + jpeg


def state_of(parts: Parts) -> ServiceState:
    """The state now."""
    bundle, climate = BundleState.of(parts.running.bundle), parts.metrics.device.climate
    return describe(parts.pipeline, parts.controls, bundle, climate, time.monotonic())


def add_live(app: FastAPI, parts: Parts) -> None:
    """Serve both streams and the state."""
    messages, pictures = LiveMessages(parts), Pictures(parts)

    @app.get("/stream.mjpg", response_class=Response, responses=answers(503), tags=["live"])
    async def stream() -> Response:
        """The live picture with its overlay, as MJPEG."""
        return _stream(parts, pictures, f"multipart/x-mixed-replace; boundary={BOUNDARY}", _part)

    @app.get("/api/live", response_class=Response, responses=answers(503), tags=["live"], description=LIVE_FORMAT)
    async def live() -> Response:
        return _stream(parts, pictures, LIVE_TYPE, messages.of)

    @app.get("/api/clock", responses=answers(), tags=["live"])
    def clock() -> Clock:
        """The device's clock, by which a viewer elsewhere tells how old a picture is."""
        return Clock(clock_ms=1000 * time.time())

    @app.get("/api/state", responses=answers(), tags=["live"])
    def state() -> ServiceState:
        """What the person is doing, and how the service does."""
        return state_of(parts)


class Pictures:
    """Hands each new picture to all viewers at once: one thread waits for it, however many are looking."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._newest: asyncio.Future[tuple[int, LivePicture | None]] | None = None

    async def next(self) -> tuple[int, LivePicture | None]:
        """The next picture and its number, or None after a while without one; only newer ones than the latest now.

        The latest may be old, from before the pixels were hidden.
        """
        if self._newest is None or self._newest.done():
            self._newest = asyncio.ensure_future(self._wait())
        # A viewer that goes away must not end the waiting of the others.
        return await asyncio.shield(self._newest)

    async def _wait(self) -> tuple[int, LivePicture | None]:
        pictures = self._parts.view.pictures
        number, _ = pictures.read()
        return await to_thread.run_sync(pictures.wait_newer, number, WAIT_SECONDS)


Encode = Callable[[int, LivePicture | None], bytes]


def _stream(parts: Parts, pictures: Pictures, media_type: str, encode: Encode) -> Response:
    viewer = ExitStack()
    try:
        viewer.enter_context(parts.view.viewer())
    except TooManyViewers:
        return problem(503, "too_many_viewers", "as many live pictures are being served as are allowed")
    headers = {**NO_STORE, **PROTECTION}
    return ViewerResponse(viewer, _messages(parts, pictures, encode), media_type, headers)


class ViewerResponse(StreamingResponse):
    """A stream to one viewer, whose place is free again when it ends, or when nothing of it is taken any more."""

    def __init__(
        self,
        place: AbstractContextManager[object],
        messages: AsyncIterator[bytes],
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(messages, media_type=media_type, headers=headers)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end."""
        with self._place, CancelScope() as sending:

            async def send_in_time(message: Message) -> None:
                with move_on_after(SEND_SECONDS) as limit:
                    await send(message)
                if limit.cancelled_caught:
                    sending.cancel()

            await super().__call__(scope, receive, send_in_time)


async def _messages(parts: Parts, pictures: Pictures, encode: Encode) -> AsyncIterator[bytes]:
    while not parts.pipeline.stop_requested.is_set():
        number, picture = await pictures.next()
        if message := encode(number, picture if picture is None or parts.view.may_be_sent(picture) else None):
            yield message


def _part(_number: int, picture: LivePicture | None) -> bytes:
    if picture is None:
        return b""
    head = (
        f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
        f"X-Frame: {picture.frame}\r\nX-Pose-Frame: {picture.pose_frame}\r\n\r\n"
    )
    return head.encode() + picture.jpeg + b"\r\n"
