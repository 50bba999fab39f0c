"""The live picture: drawn and encoded in a thread of its own, and only while somebody looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import cv2

from plumbline_edge.draw import draw_pose
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.session import Result
from plumbline_edge.slot import Latest

WAIT_SECONDS: Final = 0.5


class TooManyViewers(Exception):
    """As many live pictures are being served as are allowed."""


class LiveView:
    """JPEG pictures of the pipeline's latest results."""

    def __init__(
        self, pipeline: LivePipeline, metrics: EdgeMetrics, *, max_fps: float, jpeg_quality: int, max_viewers: int
    ) -> None:
        self.pictures: Latest[bytes] = Latest()
        self._pipeline = pipeline
        self._metrics = metrics
        self._interval_seconds = 1 / max_fps
        self._jpeg_quality = jpeg_quality
        self._max_viewers = max_viewers
        self._viewers = 0
        self._viewers_changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends with the pipeline's stop request."""
        self._thread.start()

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Be counted as a viewer. Raises TooManyViewers."""
        with self._viewers_changed:
            if self._viewers >= self._max_viewers:
                raise TooManyViewers
            self._set_viewers(self._viewers + 1)
        try:
            yield
        finally:
            with self._viewers_changed:
                self._set_viewers(self._viewers - 1)

    def _set_viewers(self, viewers: int) -> None:
        self._viewers = viewers
        self._metrics.viewers.set(viewers)
        self._viewers_changed.notify_all()

    def _run(self) -> None:
        number = 0
        while not self._pipeline.stop_requested.is_set():
            with self._viewers_changed:
                if not self._viewers_changed.wait_for(lambda: self._viewers > 0, WAIT_SECONDS):
                    continue
            started_at = time.monotonic()
            number, result = self._pipeline.results.wait_newer(number, WAIT_SECONDS)
            if result is None:
                continue
            self.pictures.publish(self._picture(result))
            self._pipeline.stop_requested.wait(max(0.0, started_at + self._interval_seconds - time.monotonic()))

    def _picture(self, result: Result) -> bytes:
        started_at = time.perf_counter()
        image_bgr_HW3 = result.frame.image_bgr_HW3.copy()
        draw_pose(image_bgr_HW3, result.overlay(self._pipeline.session.meter.fps(time.monotonic())))
        drawn_at = time.perf_counter()
        _, encoded = cv2.imencode(".jpg", image_bgr_HW3, [cv2.IMWRITE_JPEG_QUALITY, self._jpeg_quality])
        self._metrics.observe_stage("draw", drawn_at - started_at)
        self._metrics.observe_stage("encode", time.perf_counter() - drawn_at)
        return encoded.tobytes()
