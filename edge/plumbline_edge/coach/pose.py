"""One person in one frame, with what is not seen left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from plumbline_contract.sequence import HIPS, SEEN_SCORE, SHOULDERS, is_seen
from plumbline_contract.skeleton import NUM_KEYPOINTS, Keypoint

Keypoints = npt.NDArray[np.floating]


FARTHEST_PX: Final[float] = 1e6
"""A keypoint farther out than any picture reaches is an error of what found it, and not seen."""


class Spot(NamedTuple):
    """A place in the picture, in pixels, and how well it was seen."""

    x: float
    y: float
    score: float


class Spots:
    """Where the 17 keypoints are, None for those that are not seen."""

    def __init__(self, spots: Sequence[Spot | None]) -> None:
        self._spots = spots

    def spot(self, *keypoints: Keypoint) -> Spot | None:
        """One keypoint, or the middle of those of a pair that are seen (half the score when only one is)."""
        seen = [spot for keypoint in keypoints if (spot := self._spots[keypoint]) is not None]
        if not seen:
            return None
        if len(seen) == len(keypoints) == 1:
            return seen[0]
        x, y = sum(spot.x for spot in seen) / len(seen), sum(spot.y for spot in seen) / len(seen)
        return Spot(x, y, sum(spot.score for spot in seen) / len(keypoints))


class Pose(Spots):
    """Keypoints (17, 3) of which only the seen ones can be asked for. Raises ValueError for another shape."""

    def __init__(self, keypoints_K3: Keypoints, min_score: float = SEEN_SCORE) -> None:
        if keypoints_K3.shape != (NUM_KEYPOINTS, 3):
            raise ValueError(f"keypoints have shape {keypoints_K3.shape!r}; expected {(NUM_KEYPOINTS, 3)!r}")
        self.seen_K = is_seen(keypoints_K3, min_score) & (np.abs(keypoints_K3[:, :2]) <= FARTHEST_PX).all(axis=1)
        self.keypoints_K3 = np.where(self.seen_K[:, None], keypoints_K3, 0.0).astype(np.float64)
        super().__init__(
            [
                Spot(x, y, score) if seen else None
                for seen, (x, y, score) in zip(self.seen_K.tolist(), self.keypoints_K3.tolist(), strict=True)
            ]
        )

    def torso_px(self) -> float | None:
        """The distance from the middle of the hips to the middle of the shoulders."""
        hips, shoulders = self.spot(*HIPS), self.spot(*SHOULDERS)
        if hips is None or shoulders is None:
            return None
        return math.hypot(hips.x - shoulders.x, hips.y - shoulders.y) or None
