"""Writes the annotated video: to a file beside the target, renamed only when complete."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2

from plumbline_contract.preprocess import Image
from plumbline_edge.errors import OutputUnwritable

CODECS: Final = ("mp4v", "avc1")
"""In order of preference: every OpenCV wheel encodes MPEG-4, few have H.264."""


class VideoRecorder:
    """An mp4 at `target`, which appears when `finish` is called and not before."""

    def __init__(self, target: Path, frame_rate: float) -> None:
        """Raises OutputUnwritable when the folder is absent or `target` does not end in .mp4."""
        if target.suffix.lower() != ".mp4":
            raise OutputUnwritable(f"output {str(target)!r}: must end in .mp4")
        if not target.parent.is_dir():
            raise OutputUnwritable(f"output {str(target)!r}: there is no folder {str(target.parent)!r}; make it first")
        self._target = target
        self._partial = target.with_name(f".{target.stem}.partial.mp4")
        self._frame_rate = frame_rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._written = 0

    def write(self, image_bgr_HW3: Image) -> None:
        """Append a picture; one of another size than the first is scaled to it."""
        if self._writer is None:
            self._size = (image_bgr_HW3.shape[1], image_bgr_HW3.shape[0])
            self._writer = self._open()
        if (image_bgr_HW3.shape[1], image_bgr_HW3.shape[0]) != self._size:
            self._writer.write(cv2.resize(image_bgr_HW3, self._size))
        else:
            self._writer.write(image_bgr_HW3)
        self._written += 1

    def _open(self) -> cv2.VideoWriter:
        for codec in CODECS:
            fourcc = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(str(self._partial), fourcc, self._frame_rate, self._size)
            if writer.isOpened():
                return writer
            writer.release()
        raise OutputUnwritable(
            f"output {str(self._target)!r}: cannot be written as a {self._size[0]}x{self._size[1]} video; check the"
            " folder's permissions and free space"
        )

    def finish(self) -> None:
        """Complete the file and give it its name. Raises OutputUnwritable when not all of it is on the disk."""
        if self._writer is None:
            return
        self._writer.release()
        kept = self._frames_on_disk()
        if kept != self._written:
            raise OutputUnwritable(
                f"output {str(self._target)!r}: only {kept} of {self._written} frames could be written; free space on"
                " its disk"
            )
        self._partial.replace(self._target)

    def _frames_on_disk(self) -> int:
        """OpenCV's writer does not tell of a full disk: what it left is opened and counted."""
        video = cv2.VideoCapture(str(self._partial), cv2.CAP_FFMPEG)
        frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
        video.release()
        return frames

    def discard(self) -> None:
        """Leave nothing behind, unless finished."""
        if self._writer is not None:
            self._writer.release()
        self._partial.unlink(missing_ok=True)
