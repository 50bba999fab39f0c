"""Keypoints of some seconds as a few bytes: tenths of a pixel, as differences from frame to frame, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import NUM_KEYPOINTS

PIXEL_STEPS: Final = 10
SCORE_STEPS: Final = 100
STEPS: Final = np.array([PIXEL_STEPS, PIXEL_STEPS, SCORE_STEPS], dtype=np.float64)
TIME_STEPS: Final = 1000
FARTHEST: Final = 100_000.0
"""Pixels; a keypoint outside of every picture is kept at this distance."""
FRAME_NUMBERS: Final = 1 + NUM_KEYPOINTS * 3
"""The time and each keypoint's x, y and score, as integers of four bytes."""
FRAME_BYTES: Final = FRAME_NUMBERS * 4


@dataclass(frozen=True)
class Track:
    """Keypoints (T, 17, 3) in pixels, and the seconds (T,) of each frame since the set began."""

    seconds_T: npt.NDArray[np.float64]
    keypoints_TK3: npt.NDArray[np.float32]


def pack(seconds: Sequence[float], keypoints: Sequence[npt.NDArray[np.floating]]) -> bytes:
    """The bytes of these frames."""
    points_TK3 = np.nan_to_num(np.stack(keypoints).astype(np.float64), nan=0.0, posinf=FARTHEST, neginf=-FARTHEST)
    steps_TN = np.empty((len(seconds), FRAME_NUMBERS), dtype="<i4")
    steps_TN[:, 0] = np.rint(np.asarray(seconds) * TIME_STEPS)
    steps_TN[:, 1:] = np.rint(np.clip(points_TK3, -FARTHEST, FARTHEST) * STEPS).reshape(len(seconds), -1)
    # Each number's bytes lie together, which halves what compression leaves.
    changes_NT = np.ascontiguousarray(np.diff(steps_TN, axis=0, prepend=np.zeros_like(steps_TN[:1])).T)
    return zlib.compress(changes_NT.tobytes(), 6)


def unpack(chunks: Sequence[bytes]) -> Track:
    """The frames of these chunks, one after the other; in memory once only, as a long set has a million of them."""
    frames = sum(len(zlib.decompress(chunk)) for chunk in chunks) // FRAME_BYTES
    track = Track(np.empty(frames), np.empty((frames, NUM_KEYPOINTS, 3), np.float32))
    end = 0
    for chunk in chunks:
        changes_NT = np.frombuffer(zlib.decompress(chunk), dtype="<i4").reshape(FRAME_NUMBERS, -1)
        steps_TN = np.cumsum(changes_NT.T, axis=0)
        begin, end = end, end + len(steps_TN)
        track.seconds_T[begin:end] = steps_TN[:, 0] / TIME_STEPS
        track.keypoints_TK3[begin:end] = steps_TN[:, 1:].reshape(-1, NUM_KEYPOINTS, 3) / STEPS
    return track
