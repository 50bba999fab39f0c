"""The live picture: drawn and encoded in a thread of its own, and only while somebody looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from plumbline_contract.preprocess import Image
from plumbline_edge.draw import draw_pose
from plumbline_edge.frame import Frame
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.session import Result
from plumbline_edge.slot import Latest

WAIT_SECONDS: Final = 0.5
KEEPS_UP_SHARE: Final = 0.8
"""A network that takes this share of the pictures that come has each shown with the pose that was found in it. A slower
one would make the picture itself stutter: then the newest one is shown, with the latest pose carried on to its time."""


HIDDEN_BGR: Final = (18, 13, 10)
"""What stands in the place of every pixel while they are hidden."""


class TooManyViewers(Exception):
    """As many live pictures are being served as are allowed."""


@dataclass(frozen=True)
class LivePicture:
    """A picture as it is sent, and whose pose is drawn on it."""

    jpeg: bytes
    frame: int
    """Index of the frame whose picture it is."""
    pose_frame: int
    """Index of the frame in which the pose was found that is drawn; another one only where the network is slower."""
    captured_at: float
    """time.monotonic() of the picture's frame."""
    shows_pixels: bool
    """False where the camera's pixels are hidden."""


class LiveView:
    """JPEG pictures of the pipeline's latest results."""

    def __init__(
        self,
        pipeline: LivePipeline,
        metrics: EdgeMetrics,
        *,
        max_fps: float,
        jpeg_quality: int,
        max_viewers: int,
        mirror: bool = False,
    ) -> None:
        """`mirror` shows left and right exchanged, as a looking-glass does; the pose is found in the true picture."""
        self.pictures: Latest[LivePicture] = Latest()
        self._pixels_hidden = False
        self._publishing = threading.Lock()
        self._pipeline = pipeline
        self._metrics = metrics
        self._interval_seconds = 1 / max_fps
        self._jpeg_quality = jpeg_quality
        self._max_viewers = max_viewers
        self._mirror = mirror
        self._viewers = 0
        self._viewers_changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends with the pipeline's stop request."""
        self._thread.start()

    @property
    def pixels_hidden(self) -> bool:
        """Whether viewers are sent the skeleton alone, on an even ground."""
        return self._pixels_hidden

    def hide_pixels(self, hidden: bool) -> None:
        """Show the skeleton alone, or the camera's picture again; no pixel leaves this object after True returned."""
        with self._publishing:
            self._pixels_hidden = hidden

    def may_be_sent(self, picture: LivePicture) -> bool:
        """Whether a picture that was made a moment ago may still be sent."""
        return not (picture.shows_pixels and self._pixels_hidden)

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
            fps = self._pipeline.session.meter.fps(started_at)
            keeps_up = fps >= KEEPS_UP_SHARE * self._pipeline.capture_rate(started_at)
            number, shown = self._next(number, keeps_up)
            if shown is None:
                continue
            self._publish(self._picture(*shown, fps))
            self._pipeline.stop_requested.wait(max(0.0, started_at + self._interval_seconds - time.monotonic()))

    def _next(self, number: int, keeps_up: bool) -> tuple[int, tuple[Frame, Result] | None]:
        """The next frame to show and the result to show over it; `number` is the last shown frame's index plus one."""
        latest = self._pipeline.results if keeps_up else self._pipeline.newest_frame
        latest.wait_until(lambda item: _frame_of(item).index >= number, WAIT_SECONDS)
        _, result = self._pipeline.results.read()
        _, newest = self._pipeline.newest_frame.read()
        if result is None or newest is None:
            return number, None
        frame = result.frame if keeps_up else newest
        return (frame.index + 1, (frame, result)) if frame.index >= number else (number, None)

    def _publish(self, picture: LivePicture) -> None:
        """Unless the pixels were hidden while it was drawn."""
        with self._publishing:
            if self.may_be_sent(picture):
                self.pictures.publish(picture)

    def _picture(self, frame: Frame, result: Result, fps: float) -> LivePicture:
        started_at, hidden = time.perf_counter(), self._pixels_hidden
        later_by_seconds = frame.timestamp_seconds - result.frame.timestamp_seconds
        overlay = result.overlay(fps, later_by_seconds=later_by_seconds)
        image_bgr_HW3 = _even(frame.image_bgr_HW3) if hidden else frame.image_bgr_HW3.copy()
        if self._mirror:
            image_bgr_HW3 = np.ascontiguousarray(image_bgr_HW3[:, ::-1])
            overlay = overlay.mirrored(image_bgr_HW3.shape[1])
        draw_pose(image_bgr_HW3, overlay)
        drawn_at = time.perf_counter()
        _, encoded = cv2.imencode(".jpg", image_bgr_HW3, [cv2.IMWRITE_JPEG_QUALITY, self._jpeg_quality])
        self._metrics.observe_stage("draw", drawn_at - started_at)
        self._metrics.observe_stage("encode", time.perf_counter() - drawn_at)
        return LivePicture(encoded.tobytes(), frame.index, result.frame.index, frame.captured_at, not hidden)


def _even(image_bgr_HW3: Image) -> Image:
    return np.full_like(image_bgr_HW3, HIDDEN_BGR)


def _frame_of(item: Frame | Result) -> Frame:
    return item.frame if isinstance(item, Result) else item
