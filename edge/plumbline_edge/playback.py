"""Recorded sources played at their own speed, and live ones opened again after they break off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from plumbline_edge.errors import SourceUnavailable
from plumbline_edge.frame import DEFAULT_FRAME_RATE, Frame, FrameSource

RECONNECT_SECONDS: Final = 1.0

OpenSource = Callable[[], FrameSource]


def as_live(source: FrameSource, reopen: OpenSource, stop: threading.Event, *, loop: bool) -> FrameSource:
    """`source` in real time: a file is paced (and repeated if `loop`), a camera or stream survives interruptions."""
    if source.live:
        return ReconnectingSource(source, reopen, stop)
    return PacedSource(source, reopen, stop, loop=loop)


class PacedSource:
    """A recorded source that gives each picture when its time has come, as a camera would."""

    def __init__(self, source: FrameSource, reopen: OpenSource, stop: threading.Event, *, loop: bool) -> None:
        self.name: str = source.name
        self.live: bool = False
        self.frame_rate: float = source.frame_rate
        self._source = source
        self._reopen = reopen
        self._stop = stop
        self._loop = loop
        self._index = 0
        self._offset_seconds = 0.0
        self._started_at: float | None = None

    def read(self) -> Frame | None:
        """The next picture, not before its time; timestamps go on across repetitions."""
        frame = self._source.read()
        if frame is None and self._loop and self._index > 0 and not self._stop.is_set():
            frame = self._again()
        if frame is None:
            return None
        timestamp = self._offset_seconds + frame.timestamp_seconds
        if self._started_at is None:
            self._started_at = time.monotonic() - timestamp
        self._stop.wait(max(0.0, self._started_at + timestamp - time.monotonic()))
        self._index += 1
        return replace(frame, timestamp_seconds=timestamp, index=self._index - 1, captured_at=time.monotonic())

    def _again(self) -> Frame | None:
        self._source.close()
        self._source = self._reopen()
        self._offset_seconds = self._index / self.frame_rate
        return self._source.read()

    def close(self) -> None:
        """Release the source."""
        self._source.close()


class AbsentSource:
    """A camera or stream that is not there yet."""

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.live: bool = True
        self.frame_rate: float = DEFAULT_FRAME_RATE

    def read(self) -> Frame | None:
        """Nothing."""
        return None

    def close(self) -> None:
        """There is nothing to release."""


class ReconnectingSource:
    """A live source that is opened again, every RECONNECT_SECONDS, after it broke off; ends only when told to stop."""

    def __init__(self, source: FrameSource, reopen: OpenSource, stop: threading.Event) -> None:
        self.name: str = source.name
        self.live: bool = True
        self.frame_rate: float = source.frame_rate
        self.reconnects = 0
        self._source = source
        self._reopen = reopen
        self._stop = stop
        self._index = 0

    def read(self) -> Frame | None:
        """The next picture, after however many attempts; None once told to stop."""
        while not self._stop.is_set():
            frame = self._source.read()
            if frame is not None:
                self._index += 1
                return replace(frame, index=self._index - 1)
            self._reconnect()
        return None

    def _reconnect(self) -> None:
        self._source.close()
        self._stop.wait(RECONNECT_SECONDS)
        if self._stop.is_set():
            return
        try:
            self._source = self._reopen()
        except SourceUnavailable:
            return
        self.reconnects += 1

    def close(self) -> None:
        """Release the source."""
        self._source.close()
