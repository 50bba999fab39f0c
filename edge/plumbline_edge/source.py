"""Where pictures come from: a file, a picture or a folder of them, a camera, a stream; all seen as a FrameSource."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from plumbline_edge.addresses import scheme_of
from plumbline_edge.capture import CaptureSource
from plumbline_edge.errors import SourceUnavailable
from plumbline_edge.frame import CameraOptions, Frame, FrameSource, Rotation
from plumbline_edge.pictures import PICTURE_SUFFIXES, PictureSource
from plumbline_edge.rpicam import PI_CAMERA, RpicamSource

STREAM_SCHEMES: Final = frozenset({"http", "https", "rtsp", "rtsps"})
TURNS: Final[dict[Rotation, int]] = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def comes_and_goes(source: str) -> bool:
    """Whether this names a camera or stream, which may be there later, other than a file."""
    return scheme_of(source) in STREAM_SCHEMES or _is_camera(source) or PI_CAMERA.fullmatch(source) is not None


def open_source(source: str, options: CameraOptions | None = None) -> FrameSource:
    """Open what `source` names: URL, camera index, /dev path, `picamera`, file, picture or folder.

    Raises SourceUnavailable.
    """
    options = options or CameraOptions()
    opened = _open(source, options)
    return opened if options.rotate == 0 else RotatedSource(opened, options.rotate)


def _open(source: str, options: CameraOptions) -> FrameSource:
    if scheme_of(source) in STREAM_SCHEMES:
        return CaptureSource.stream(source)
    if _is_camera(source):
        return CaptureSource.camera(source, options)
    if PI_CAMERA.fullmatch(source):
        return RpicamSource(source, options)
    path = _named(source)
    _require_readable(path)
    if path.is_dir():
        return PictureSource.folder(path)
    if not path.is_file():
        raise SourceUnavailable(f"source {source!r}: no such file, folder, camera or URL; check --source")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PictureSource(str(path), [path])
    return CaptureSource.file(path)


def _is_camera(source: str) -> bool:
    return source.isdecimal() or source.startswith("/dev/")


def _named(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError as error:
        raise SourceUnavailable(f"source {source!r}: {error}; check --source") from error


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


class RotatedSource:
    """Another source's pictures, each turned clockwise by quarters."""

    def __init__(self, source: FrameSource, rotate: Rotation) -> None:
        self.name: str = source.name
        self.live: bool = source.live
        self.frame_rate: float = source.frame_rate
        self._source = source
        self._turn = TURNS[rotate]

    def read(self) -> Frame | None:
        """The next picture, turned."""
        frame = self._source.read()
        if frame is None:
            return None
        return replace(frame, image_bgr_HW3=np.asarray(cv2.rotate(frame.image_bgr_HW3, self._turn), dtype=np.uint8))

    def close(self) -> None:
        """Release the source."""
        self._source.close()
