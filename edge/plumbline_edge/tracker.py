"""Where to look next, without a detector: around the last keypoints, or over the whole picture once they are lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plumbline_contract.box import Box, box_from_keypoints
from plumbline_contract.decode import Keypoints
from plumbline_contract.sequence import HIPS, SHOULDERS, midpoint
from plumbline_edge.edges import Edges
from plumbline_edge.orientation import body_turn
from plumbline_edge.search import Whom, preference, search_rounds


@dataclass(frozen=True)
class TrackerConfig:
    """When a person counts as seen, and how their box moves."""

    keypoint_score: float = 0.3
    """Keypoints scored above this span the box."""
    acquire_score: float = 0.50
    """Mean score of all keypoints from which a searched region holds a person."""
    keep_score: float = 0.38
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
    whom: Whom = "largest"
    """Whom to follow when several people are found at once."""
    turns: bool = False
    """Whether the crop turns by quarters, so that a lying body stands upright in it: for a net that was trained so."""


def person_score(keypoints_K3: Keypoints) -> float:
    """The mean score of all keypoints: high only where most of a person is seen."""
    return float(keypoints_K3[:, 2].mean())


class Tracker:
    """Follows one person: `regions` says where to look, `update` is told what was found there."""

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self._config = config or TrackerConfig()
        self._edges: Edges | None = None
        self._turn = 0
        self._seen_at = 0.0
        self._updated_at = 0.0
        self._attempt = 0

    @property
    def tracking(self) -> bool:
        """Whether a person is followed, as opposed to searched for."""
        return self._edges is not None

    def regions(self, height: int, width: int) -> tuple[Box, ...]:
        """The regions of a picture of this size to look at, not yet padded for the network; one while tracking."""
        if self._edges is not None:
            return (self._box(self._edges, height, width),)
        rounds = search_rounds(height, width, self._config.whom, turned=self._config.turns)
        return rounds[self._attempt % len(rounds)]

    def update(
        self, sightings: Sequence[Keypoints], timestamp_seconds: float, height: int, width: int
    ) -> Keypoints | None:
        """Take in what was found in the regions of a picture of this size: the person followed, None if unseen."""
        found = [(seen_K3, target) for seen_K3 in sightings if (target := self._target(seen_K3, height, width))]
        if not found:
            self._miss(timestamp_seconds)
            return None
        seen_K3, target = max(found, key=lambda pair: preference(pair[1].box(), self._config.whom))
        if self._edges is None:
            self._edges = target
        else:
            step = max(0.0, timestamp_seconds - self._updated_at)
            self._edges = self._edges.follow(target, 1 - math.exp(-step / self._config.shrink_seconds))
        if self._config.turns:
            self._turn = body_turn(seen_K3, self._turn, self._config.keypoint_score)
        self._seen_at = self._updated_at = timestamp_seconds
        self._attempt = 0
        return seen_K3

    def _box(self, edges: Edges, height: int, width: int) -> Box:
        box = edges.box()
        minimum = self._config.min_side_share * min(height, width)
        box = box.padded(max(1.0, minimum / max(box.width, box.height)))
        return box if self._turn == 0 else Box(box.centre_x, box.centre_y, box.height, box.width, self._turn)

    def _miss(self, timestamp_seconds: float) -> None:
        if self._edges is None:
            self._attempt += 1
        elif timestamp_seconds - self._seen_at >= self._config.patience_seconds:
            self._edges = None
            self._turn = 0
            self._attempt = 0

    def _target(self, keypoints_K3: Keypoints, height: int, width: int) -> Edges | None:
        """The edges of the person seen; None when there is none."""
        needed = self._config.keep_score if self.tracking else self._config.acquire_score
        if not np.isfinite(keypoints_K3).all() or person_score(keypoints_K3) < needed:
            return None
        box = box_from_keypoints(keypoints_K3, self._config.keypoint_score)
        if box is None:
            return None
        edges = Edges.of(box.padded(self._config.body_margin))
        hips = midpoint(keypoints_K3, HIPS, self._config.keypoint_score)
        torso = midpoint(keypoints_K3, SHOULDERS, self._config.keypoint_score) - hips
        if np.isfinite(torso).all():
            reach = self._config.reach_torsos * torso
            edges = edges.including(np.stack([hips - reach, hips + reach]))
        return edges.clipped(height, width)
