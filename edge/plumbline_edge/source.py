"""Where pictures come from: a file, a picture or a folder of them, a camera, a stream; all seen as a FrameSource."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit, urlunsplit

import cv2
import numpy as np

from plumbline_contract.preprocess import Image
from plumbline_edge.errors import SourceTruncated, SourceUnavailable

PICTURE_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
STREAM_SCHEMES: Final = frozenset({"http", "https", "rtsp", "rtsps"})
DEFAULT_FRAME_RATE: Final = 30.0
STREAM_TIMEOUT_MS: Final = 5000
DECLARED_FRAMES_TOLERANCE: Final = 0.02
"""A container's frame count is an estimate in some formats; a file that lacks more than this share is truncated."""


@dataclass(frozen=True)
class Frame:
    """One picture, its time on the source's own clock, and the moment (time.monotonic) it reached this process."""

    image_bgr_HW3: Image
    timestamp_seconds: float
    index: int
    captured_at: float


class FrameSource(Protocol):
    """Gives pictures one after the other; used by one thread at a time."""

    @property
    def name(self) -> str:
        """What to call it in messages, free of passwords."""

    @property
    def live(self) -> bool:
        """Whether it goes on by itself: a camera or stream, whose end is a failure."""

    @property
    def frame_rate(self) -> float:
        """Pictures a second, as declared."""

    def read(self) -> Frame | None:
        """The next picture; None at the end. Raises SourceTruncated for a file that breaks off."""

    def close(self) -> None:
        """Release the device or file; reading afterwards gives None."""


def open_source(source: str) -> FrameSource:
    """Open what `source` names: URL, camera index, /dev path, file, picture or folder. Raises SourceUnavailable."""
    if urlsplit(source).scheme in STREAM_SCHEMES:
        return CaptureSource.stream(source)
    if source.isdecimal() or source.startswith("/dev/"):
        return CaptureSource.camera(source)
    path = Path(source).expanduser()
    _require_readable(path)
    if path.is_dir():
        return PictureSource.folder(path)
    if not path.is_file():
        raise SourceUnavailable(f"source {source!r}: no such file, folder, camera or URL; check --source")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PictureSource(str(path), [path])
    return CaptureSource.file(path)


def _require_readable(path: Path) -> None:
    """Raise SourceUnavailable for what is there but closed to this user, which else looks like a damaged file."""
    try:
        path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SourceUnavailable(f"source {str(path)!r}: {error.strerror}; check --source and its folder") from error
    if not os.access(path, os.R_OK):
        raise SourceUnavailable(f"source {str(path)!r}: this user may not read it; change its permissions")


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
    def camera(cls, device: str) -> CaptureSource:
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


class PictureSource:
    """Pictures in the order of their names, at the default frame rate."""

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        self.name: str = name
        self.live: bool = False
        self.frame_rate: float = DEFAULT_FRAME_RATE
        self._paths = list(paths)
        self._index = 0

    @classmethod
    def folder(cls, path: Path) -> PictureSource:
        """All pictures of a folder."""
        paths = sorted(item for item in path.iterdir() if item.suffix.lower() in PICTURE_SUFFIXES)
        if not paths:
            raise SourceUnavailable(
                f"source {str(path)!r}: the folder holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))})"
            )
        return cls(str(path), paths)

    def read(self) -> Frame | None:
        """The next picture; None after the last. Raises SourceUnavailable for a file that is no picture."""
        if self._index >= len(self._paths):
            return None
        path = self._paths[self._index]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceUnavailable(f"picture {str(path)!r}: cannot be decoded; it is damaged or no picture")
        self._index += 1
        index = self._index - 1
        return Frame(np.asarray(image, dtype=np.uint8), index / self.frame_rate, index, time.monotonic())

    def close(self) -> None:
        """Forget the pictures not yet read."""
        self._paths = []


def without_password(url: str) -> str:
    """The URL with user and password replaced by '***', fit for messages and metrics."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def _cameras_found() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    return f"cameras found: {', '.join(found)}" if found else "no camera is connected (no /dev/video*)"
