"""Video files, cameras and streams, read through OpenCV."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from plumbline_edge.addresses import without_password
from plumbline_edge.errors import SourceTruncated, SourceUnavailable
from plumbline_edge.frame import DEFAULT_FRAME_RATE, DEFAULT_SIZE, CameraOptions, Frame

STREAM_TIMEOUT_MS: Final = 5000
DECLARED_FRAMES_TOLERANCE: Final = 0.02
"""A container's frame count is an estimate in some formats; a file that lacks more than this share is truncated."""


class CaptureSource:
    """A video file, camera or stream read through OpenCV."""

    def __init__(self, name: str, capture: cv2.VideoCapture, *, live: bool) -> None:
        self.name: str = name
        self.live: bool = live
        self._capture = capture
        declared = float(capture.get(cv2.CAP_PROP_FPS))
        self.frame_rate: float = declared if math.isfinite(declared) and 0 < declared <= 1000 else DEFAULT_FRAME_RATE
        self.declared_frames = 0 if live else int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._index = 0

    @classmethod
    def file(cls, path: Path) -> CaptureSource:
        """A video file."""
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise SourceUnavailable(
                f"source {str(path)!r}: no video can be read from it ({path.stat().st_size} bytes); it is no video or"
                " its header is cut off, copy it again or convert it to mp4"
            )
        return cls(str(path), capture, live=False)

    @classmethod
    def camera(cls, device: str, options: CameraOptions) -> CaptureSource:
        """A V4L2 camera by index ('0') or path ('/dev/video0')."""
        path = Path(f"/dev/video{device}") if device.isdecimal() else Path(device)
        if not path.exists():
            raise SourceUnavailable(f"camera {device!r}: there is no {path}; {_cameras_found()}")
        number = re.fullmatch(r"/dev/video(\d+)", str(path.resolve()))
        target: int | str = int(number[1]) if number else str(path)
        capture = cv2.VideoCapture(target, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise SourceUnavailable(
                f"camera {device!r}: {path} does not open; another program may hold it, or this user is not in the"
                f" group 'video'; {_cameras_found()}"
            )
        _ask(capture, options)
        return cls(str(path), capture, live=True)

    @classmethod
    def stream(cls, url: str) -> CaptureSource:
        """An RTSP or HTTP stream."""
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, STREAM_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, STREAM_TIMEOUT_MS]
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            raise SourceUnavailable(
                f"stream {without_password(url)!r}: no video within {STREAM_TIMEOUT_MS / 1000:.0f} s; check that the"
                " address is right and the camera is on"
            )
        return cls(without_password(url), capture, live=True)

    def read(self) -> Frame | None:
        """The next picture; None when a stream breaks off or a file ends. Raises SourceTruncated."""
        read, image = self._capture.read()
        if not read:
            self._require_complete()
            return None
        captured_at = time.monotonic()
        timestamp = captured_at if self.live else self._index / self.frame_rate
        self._index += 1
        return Frame(np.asarray(image, dtype=np.uint8), timestamp, self._index - 1, captured_at)

    def _require_complete(self) -> None:
        missing = self.declared_frames - self._index
        if missing > max(2.0, DECLARED_FRAMES_TOLERANCE * self.declared_frames):
            raise SourceTruncated(
                f"source {self.name!r}: breaks off after {self._index} of {self.declared_frames} frames; the file is"
                " truncated, copy it again"
            )

    def close(self) -> None:
        """Release the device or file."""
        self.declared_frames = 0
        self._capture.release()


def _cameras_found() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    return f"cameras found: {', '.join(found)}" if found else "no camera is connected (no /dev/video*)"


def _ask(capture: cv2.VideoCapture, options: CameraOptions) -> None:
    """MJPEG, as USB carries raw pictures of this size but a few times a second; and no queue in the driver."""
    width, height = options.size or DEFAULT_SIZE
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    if options.rate is not None:
        capture.set(cv2.CAP_PROP_FPS, options.rate)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
