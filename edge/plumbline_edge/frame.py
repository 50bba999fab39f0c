"""A picture with its time, what gives such pictures, and how a camera is to give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from plumbline_contract.preprocess import Image

DEFAULT_FRAME_RATE: Final = 30.0
DEFAULT_SIZE: Final = (1280, 720)
"""Width and height asked of a camera that is not told others: enough for a body three metres away, and every webcam has
it."""
Rotation = Literal[0, 90, 180, 270]


@dataclass(frozen=True)
class CameraOptions:
    """What is asked of a camera; one that cannot do it gives the nearest it can."""

    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    rate: float | None = None
    """Pictures a second."""
    rotate: Rotation = 0
    """Every picture, of files too, is turned clockwise by this."""


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
