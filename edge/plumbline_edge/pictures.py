"""Pictures, one or a folder of them, in the order of their names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from plumbline_edge.errors import SourceUnavailable
from plumbline_edge.frame import DEFAULT_FRAME_RATE, Frame

PICTURE_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})


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
