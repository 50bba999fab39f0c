"""Where to look next, without a detector: around the last keypoints, or over the whole picture once they are lost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plumbline_contract.box import Box, box_from_keypoints
from plumbline_contract.decode import Keypoints
from plumbline_contract.sequence import HIPS, SHOULDERS, midpoint


@dataclass(frozen=True)
class TrackerConfig:
    """When a person counts as seen, and how their box moves."""

    keypoint_score: float = 0.3
    """Keypoints scored above this span the box."""
    acquire_score: float = 0.5
    """Mean score of all keypoints from which a searched region holds a person."""
    keep_score: float = 0.4
    """Mean score below which a tracked person is not seen in a picture; lower than the former, so as not to flicker."""
    patience_seconds: float = 0.4
    """A person not seen for this long is lost, and searched for."""
    body_margin: float = 1.15
    """Keypoints end at the eyes and ankles; the body goes on by about this factor."""
    reach_torsos: float = 1.5
    """The box reaches this many torso lengths from the hips along the torso both ways: about to the crown, and to the
    ankles of straight legs. Else legs once left out of the crop are drawn up into it and never found again."""
    shrink_seconds: float = 0.4
    """Time constant with which an edge of the box moves inwards. Outwards it moves at once, so no limb is cut off."""
    min_side_share: float = 0.1
    """The box's longer side is at least this share of the picture's shorter side."""


@dataclass(frozen=True)
class _Edges:
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, box: Box) -> _Edges:
        half_width, half_height = box.width / 2, box.height / 2
        return cls(
            box.centre_x - half_width, box.centre_y - half_height, box.centre_x + half_width, box.centre_y + half_height
        )

    def follow(self, target: _Edges, inwards: float) -> _Edges:
        """Each edge takes the target at once when that is further out, else moves the share `inwards` of the way."""
        return _Edges(
            min(target.left, self.left + inwards * (target.left - self.left)),
            min(target.top, self.top + inwards * (target.top - self.top)),
            max(target.right, self.right + inwards * (target.right - self.right)),
            max(target.bottom, self.bottom + inwards * (target.bottom - self.bottom)),
        )

    def including(self, points_N2: npt.NDArray[np.float64]) -> _Edges:
        """Moved outwards as far as needed to hold these points."""
        low, high = points_N2.min(axis=0), points_N2.max(axis=0)
        return _Edges(
            min(self.left, float(low[0])),
            min(self.top, float(low[1])),
            max(self.right, float(high[0])),
            max(self.bottom, float(high[1])),
        )

    def clipped(self, height: int, width: int) -> _Edges | None:
        """The part inside the picture; None when there is none."""
        left, top = max(self.left, 0.0), max(self.top, 0.0)
        right, bottom = min(self.right, width - 1.0), min(self.bottom, height - 1.0)
        return _Edges(left, top, right, bottom) if right - left >= 1 and bottom - top >= 1 else None

    def box(self) -> Box:
        centre_x, centre_y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return Box(centre_x, centre_y, self.right - self.left, self.bottom - self.top)


def person_score(keypoints_K3: Keypoints) -> float:
    """The mean score of all keypoints: high only where most of a person is seen."""
    return float(keypoints_K3[:, 2].mean())


def search_boxes(height: int, width: int) -> tuple[Box, ...]:
    """Regions tried in turn for a lost person: the middle at full height, the whole picture, the left, the right.

    A whole wide picture shows a standing person small, so upright thirds-wide regions come beside it.
    """
    side = min(width, round(height * 0.75))
    whole = Box.whole_image(height, width)
    if side == width:
        return (whole,)
    middle = Box(whole.centre_x, whole.centre_y, side, height)
    left = Box((side - 1) / 2, whole.centre_y, side, height)
    right = Box(width - 1 - (side - 1) / 2, whole.centre_y, side, height)
    return (middle, whole, left, right)


class Tracker:
    """Follows one person: `next_box` says where to look, `update` is told what was found there."""

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self._config = config or TrackerConfig()
        self._edges: _Edges | None = None
        self._seen_at = 0.0
        self._updated_at = 0.0
        self._attempt = 0

    @property
    def tracking(self) -> bool:
        """Whether a person is followed, as opposed to searched for."""
        return self._edges is not None

    def next_box(self, height: int, width: int) -> Box:
        """The region of a picture of this size to look at, not yet padded for the network."""
        if self._edges is not None:
            minimum = self._config.min_side_share * min(height, width)
            box = self._edges.box()
            return box.padded(max(1.0, minimum / max(box.width, box.height)))
        boxes = search_boxes(height, width)
        return boxes[self._attempt % len(boxes)]

    def update(self, keypoints_K3: Keypoints, timestamp_seconds: float, height: int, width: int) -> bool:
        """Take in what was found in a picture of this size; says whether the person is seen in it."""
        needed = self._config.keep_score if self.tracking else self._config.acquire_score
        target = self._target(keypoints_K3, height, width) if person_score(keypoints_K3) >= needed else None
        if target is None:
            self._miss(timestamp_seconds)
            return False
        if self._edges is None:
            self._edges = target
        else:
            step = max(0.0, timestamp_seconds - self._updated_at)
            self._edges = self._edges.follow(target, 1 - math.exp(-step / self._config.shrink_seconds))
        self._seen_at = self._updated_at = timestamp_seconds
        self._attempt = 0
        return True

    def _miss(self, timestamp_seconds: float) -> None:
        if self._edges is None:
            self._attempt += 1
        elif timestamp_seconds - self._seen_at >= self._config.patience_seconds:
            self._edges = None
            self._attempt = 0

    def _target(self, keypoints_K3: Keypoints, height: int, width: int) -> _Edges | None:
        if not np.isfinite(keypoints_K3).all():
            return None
        box = box_from_keypoints(keypoints_K3, self._config.keypoint_score)
        if box is None:
            return None
        edges = _Edges.of(box.padded(self._config.body_margin))
        hips = midpoint(keypoints_K3, HIPS, self._config.keypoint_score)
        torso = midpoint(keypoints_K3, SHOULDERS, self._config.keypoint_score) - hips
        if np.isfinite(torso).all():
            reach = self._config.reach_torsos * torso
            edges = edges.including(np.stack([hips - reach, hips + reach]))
        return edges.clipped(height, width)
