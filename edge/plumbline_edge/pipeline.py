"""The live service's threads: capture -> newest-frame slot -> inference and coach -> latest result.

Nothing waits for a slower stage behind it: a frame that inference has no time for is dropped and counted, and whoever
draws, encodes or serves reads the latest result and the newest frame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from plumbline_edge.frame import Frame, FrameSource
from plumbline_edge.meter import Meter
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.pace import Pace
from plumbline_edge.playback import ReconnectingSource
from plumbline_edge.session import Result, Session
from plumbline_edge.slot import Latest, NewestSlot

TAKE_TIMEOUT_SECONDS: Final = 0.5
JOIN_TIMEOUT_SECONDS: Final = 8.0
"""Longer than a stream's read timeout, after which its thread sees the stop."""
SOURCE_UP_SECONDS: Final = 3.0
"""A source that gave no picture for this long is down."""
CAPTURE_WINDOW_SECONDS: Final = 5.0
"""Over which the pictures that came are counted."""


class LivePipeline:
    """Runs a source through a session until the source ends, something fails or it is told to stop."""

    def __init__(
        self,
        source: FrameSource,
        session: Session,
        metrics: EdgeMetrics,
        stop: threading.Event,
        pace: Pace | None = None,
    ) -> None:
        self.session = session
        self.source_name = source.name
        self.results: Latest[Result] = Latest()
        self.newest_frame: Latest[Frame] = Latest()
        self.stop_requested = stop
        self.finished = threading.Event()
        self.failure: BaseException | None = None
        self.started_at = time.monotonic()
        self.last_frame_at = self.started_at
        self.captured_at = self.started_at
        self.alive_at = self.started_at
        """When the inference thread last went round, with or without a frame."""
        self.frames_dropped = 0
        self._frames_before_model = 0
        self._captured = Meter(CAPTURE_WINDOW_SECONDS)
        self._source = source
        self._metrics = metrics
        self._pace = pace or Pace(0)
        self._slot: NewestSlot[Frame] = NewestSlot()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__.strip("_"), daemon=True)
            for work in (self._capture, self._infer)
        ]

    def start(self) -> None:
        """Start both threads."""
        self.started_at = self.last_frame_at = self.captured_at = self.alive_at = time.monotonic()
        self._metrics.read_gauges_from(self.session.meter.fps, lambda: self.last_frame_at, lambda: self.source_up)
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

    @property
    def source_up(self) -> bool:
        """Whether the source gave a picture in the last seconds."""
        return time.monotonic() - self.captured_at < SOURCE_UP_SECONDS

    def capture_rate(self, now: float) -> float:
        """Pictures a second that came from the source lately: a camera in a dim room gives fewer than it declares."""
        return self._captured.fps(now)

    @property
    def ready(self) -> bool:
        """Whether a frame went through the model that is in use now."""
        return self.session.frames > self._frames_before_model

    def await_first_frame(self) -> None:
        """Another model is in use from now on: not ready until it had two frames, as one may be under way."""
        self._frames_before_model = self.session.frames + 1

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
                waited_seconds = time.perf_counter() - started_at
                self._metrics.observe_stage("capture", waited_seconds)
                self._captured.record(frame.captured_at, waited_seconds)
                self.captured_at = frame.captured_at
                self.newest_frame.publish(frame)
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
            self.alive_at = time.monotonic()
            frame = self._slot.take(TAKE_TIMEOUT_SECONDS)
            if frame is None:
                continue
            started_at = self.alive_at = time.monotonic()
            self.results.publish(self.session.process(frame))
            self.last_frame_at = self.alive_at = time.monotonic()
            interval_seconds = self._pace.interval_seconds(self.last_frame_at - started_at)
            self.stop_requested.wait(max(0.0, started_at + interval_seconds - self.last_frame_at))
        self.finished.set()
