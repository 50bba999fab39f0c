"""What an exercise can measure on a pose. An unseen joint gives no reading: it can't be at fault.

K the 17 keypoints, 3 = x, y, score in image pixels, y down.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from plumbline_contract.exercise import (
    PAIRED_JOINTS,
    Asymmetry,
    BodyMeasure,
    DistanceRatio,
    Height,
    JointAngle,
    SegmentTilt,
)
from plumbline_contract.skeleton import Keypoint, keypoint_named
from plumbline_edge.coach.pose import Pose, Spot


class Reading(NamedTuple):
    """A measured value and how well its points were seen (0 to 1, the lowest of their scores)."""

    value: float
    confidence: float


def keypoints_of(point: str, side: str) -> tuple[Keypoint, ...]:
    """The keypoints that make up a point of an exercise; `side` ('left', 'right') serves a joint without a side."""
    if point.startswith("mid_"):
        joint = point.removeprefix("mid_")
        return keypoint_named(f"left_{joint}"), keypoint_named(f"right_{joint}")
    return (keypoint_named(f"{side}_{point}" if point in PAIRED_JOINTS else point),)


def read(measure: BodyMeasure, pose: Pose, torso_px: float | None) -> Reading | None:
    """Measure a pose; `torso_px` is the person's torso length in pixels. None when a needed point is unseen.

    A measure on joints without a side is the mean over both sides, weighted by how well each is seen.
    """
    if isinstance(measure, Asymmetry):
        return _asymmetry(measure, pose, torso_px)
    names = _points(measure)
    sides = ("left", "right") if any(name in PAIRED_JOINTS for name in names) else ("left",)
    readings = []
    for side in sides:
        spots = [pose.spot(*keypoints_of(name, side)) for name in names]
        seen = [spot for spot in spots if spot is not None]
        value = _value(measure, seen, torso_px) if len(seen) == len(spots) else None
        if value is not None:
            readings.append(Reading(value, min(spot.score for spot in seen)))
    return _mean(readings)


def _points(measure: JointAngle | SegmentTilt | Height | DistanceRatio) -> tuple[str, ...]:
    if isinstance(measure, JointAngle):
        return measure.points
    if isinstance(measure, SegmentTilt):
        return measure.base, measure.tip
    if isinstance(measure, Height):
        return measure.of, measure.above
    return (*measure.between, *measure.over)


def _value(
    measure: JointAngle | SegmentTilt | Height | DistanceRatio, spots: list[Spot], torso_px: float | None
) -> float | None:
    if isinstance(measure, JointAngle):
        return joint_angle_degrees(*spots)
    if isinstance(measure, SegmentTilt):
        return tilt_degrees(*spots)
    if isinstance(measure, Height):
        return (spots[1].y - spots[0].y) / torso_px if torso_px else None
    above, below = _distance(spots[0], spots[1], measure.along), _distance(spots[2], spots[3], measure.along)
    return above / below if below > 1e-6 else None


def _asymmetry(measure: Asymmetry, pose: Pose, torso_px: float | None) -> Reading | None:
    left = pose.spot(*keypoints_of(measure.joint, "left"))
    right = pose.spot(*keypoints_of(measure.joint, "right"))
    if left is None or right is None or not torso_px:
        return None
    return Reading(abs(left.y - right.y) / torso_px, min(left.score, right.score))


def _mean(readings: list[Reading]) -> Reading | None:
    total = sum(reading.confidence for reading in readings)
    if total <= 0:
        return None
    value = sum(reading.value * reading.confidence for reading in readings) / total
    return Reading(value, max(reading.confidence for reading in readings))


def joint_angle_degrees(first: Spot, vertex: Spot, last: Spot) -> float | None:
    """The angle at `vertex`, 0 to 180; None when a segment has no length."""
    one = (first.x - vertex.x, first.y - vertex.y)
    two = (last.x - vertex.x, last.y - vertex.y)
    if one == (0.0, 0.0) or two == (0.0, 0.0):
        return None
    cross, dot = one[0] * two[1] - one[1] * two[0], one[0] * two[0] + one[1] * two[1]
    return math.degrees(math.atan2(abs(cross), dot))


def tilt_degrees(base: Spot, tip: Spot) -> float | None:
    """How far base -> tip leans from upright, 0 to 180; None when it has no length."""
    right, up = tip.x - base.x, base.y - tip.y
    return math.degrees(math.atan2(abs(right), up)) if (right, up) != (0.0, 0.0) else None


def _distance(one: Spot, two: Spot, along: str) -> float:
    return abs(one.x - two.x) if along == "x" else math.hypot(one.x - two.x, one.y - two.y)
