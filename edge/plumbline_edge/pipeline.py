"""The live service's threads: capture -> newest-frame slot -> inference and coach -> latest result.

Nothing waits for a slower stage behind it: a frame that inference has no time for is dropped and counted, and whoever
draws, encodes or serves reads the latest result.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.playback import ReconnectingSource
from plumbline_edge.session import Result, Session
from plumbline_edge.slot import Latest, NewestSlot
from plumbline_edge.source import Frame, FrameSource

TAKE_TIMEOUT_SECONDS: Final = 0.5
JOIN_TIMEOUT_SECONDS: Final = 8.0
"""Longer than a stream's read timeout, after which its thread sees the stop."""


class LivePipeline:
    """Runs a source through a session until the source ends, something fails or it is told to stop."""

    def __init__(self, source: FrameSource, session: Session, metrics: EdgeMetrics, stop: threading.Event) -> None:
        self.session = session
        self.source_name = source.name
        self.results: Latest[Result] = Latest()
        self.stop_requested = stop
        self.finished = threading.Event()
        self.failure: BaseException | None = None
        self.started_at = time.monotonic()
        self.last_frame_at = self.started_at
        self.frames_dropped = 0
        self._source = source
        self._metrics = metrics
        self._slot: NewestSlot[Frame] = NewestSlot()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__.strip("_"), daemon=True)
            for work in (self._capture, self._infer)
        ]

    def start(self) -> None:
        """Start both threads."""
        self.started_at = self.last_frame_at = time.monotonic()
        self._metrics.read_gauges_from(self.session.meter.fps, lambda: self.last_frame_at)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask both threads to end, and wait for them."""
        self.stop_requested.set()
        self._slot.close()
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT_SECONDS)

    @property
    def frame_age_seconds(self) -> float:
        """Time since the last frame went through inference, or since the start."""
        return time.monotonic() - self.last_frame_at

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # handed to the main thread, which ends the process with it
            if self.failure is None:
                self.failure = error
            self._slot.close()
            self.finished.set()

    def _capture(self) -> None:
        reconnects = 0
        try:
            while not self.stop_requested.is_set():
                started_at = time.perf_counter()
                frame = self._source.read()
                if frame is None:
                    break
                self._metrics.observe_stage("capture", time.perf_counter() - started_at)
                if self._slot.put(frame):
                    self.frames_dropped += 1
                    self._metrics.frames_dropped.inc()
                if isinstance(self._source, ReconnectingSource) and self._source.reconnects > reconnects:
                    self._metrics.source_reconnects.inc(self._source.reconnects - reconnects)
                    reconnects = self._source.reconnects
        finally:
            self._source.close()
            self._slot.close()

    def _infer(self) -> None:
        while not self._slot.exhausted and not self.stop_requested.is_set():
            frame = self._slot.take(TAKE_TIMEOUT_SECONDS)
            if frame is None:
                continue
            self.results.publish(self.session.process(frame))
            self.last_frame_at = time.monotonic()
        self.finished.set()
