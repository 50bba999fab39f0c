"""What an exercise can measure on a pose. An unseen joint gives no reading: it can't be at fault.

K the 17 keypoints, 3 = x, y, score in image pixels, y down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from plumbline_contract.measure import (
    PAIRED_JOINTS,
    AngleDifference,
    Asymmetry,
    Bend,
    BodyMeasure,
    DistanceRatio,
    JointAngle,
    LineTilt,
    PointMeasure,
    SegmentTilt,
)
from plumbline_contract.skeleton import Keypoint, keypoint_named
from plumbline_edge.coach.pose import Spot, Spots

Side = Literal["left", "right"]
SIDES: Final[tuple[Side, ...]] = ("left", "right")


class Reading(NamedTuple):
    """A measured value and how well its points were seen (0 to 1, the lowest of their scores)."""

    value: float
    confidence: float


@lru_cache(maxsize=256)
def keypoints_of(point: str, side: str) -> tuple[Keypoint, ...]:
    """The keypoints that make up a point of an exercise; `side` ('left', 'right') serves a joint without a side."""
    if point.startswith("mid_"):
        joint = point.removeprefix("mid_")
        return keypoint_named(f"left_{joint}"), keypoint_named(f"right_{joint}")
    return (keypoint_named(f"{side}_{point}" if point in PAIRED_JOINTS else point),)


def read(measure: BodyMeasure, pose: Spots, torso_px: float | None, of_sides: Sequence[Side] = SIDES) -> Reading | None:
    """Measure a pose; `torso_px` is the person's torso length in pixels. None when a needed point is unseen.

    `of_sides`: of a measure that joins both sides, the ones to read.
    """
    if isinstance(measure, Asymmetry | LineTilt):
        return _across(measure, pose, torso_px)
    if isinstance(measure, AngleDifference):
        return _angle_difference(measure, pose)
    names = points_of(measure)
    sides = of_sides if any(name in PAIRED_JOINTS for name in names) else SIDES[:1]
    readings = []
    for side in sides:
        spots = [pose.spot(*keypoints_of(name, side)) for name in names]
        seen = [spot for spot in spots if spot is not None]
        value = _value(measure, seen, torso_px) if len(seen) == len(spots) else None
        if value is not None:
            readings.append(Reading(value, min(spot.score for spot in seen)))
    return _joined(readings, "mean" if isinstance(measure, DistanceRatio) else measure.sides)


def worst_side_breaks(measure: BodyMeasure, comparison: Literal["above", "below"]) -> bool:
    """Whether a measure joins its sides so that one beyond a limit is enough to be beyond it."""
    if isinstance(measure, Asymmetry | LineTilt | AngleDifference | DistanceRatio):
        return False
    has_sides = any(name in PAIRED_JOINTS for name in points_of(measure))
    return has_sides and measure.sides == ("most" if comparison == "above" else "least")


def points_of(measure: BodyMeasure) -> tuple[str, ...]:
    """The names of the points that a measure looks at."""
    if isinstance(measure, JointAngle | Bend | AngleDifference):
        return measure.points
    if isinstance(measure, SegmentTilt):
        return measure.base, measure.tip
    if isinstance(measure, DistanceRatio):
        return (*measure.between, *measure.over)
    if isinstance(measure, Asymmetry | LineTilt):
        return (measure.joint,)
    return measure.of, measure.above


def _value(measure: PointMeasure, spots: list[Spot], torso_px: float | None) -> float | None:
    if isinstance(measure, JointAngle):
        return joint_angle_degrees(*spots)
    if isinstance(measure, Bend):
        return bend_degrees(*spots)
    if isinstance(measure, SegmentTilt):
        tilt = tilt_degrees(*spots)
        return tilt if tilt is None or not measure.signed else math.copysign(tilt, spots[1].x - spots[0].x)
    if isinstance(measure, DistanceRatio):
        above, below = _distance(spots[0], spots[1], measure.along), _distance(spots[2], spots[3], "any")
        if measure.along == "x":
            below = _distance(spots[2], spots[3], "x")
        return above / below if below > 1e-6 else None
    return (spots[1].y - spots[0].y) / torso_px if torso_px else None


def _across(measure: Asymmetry | LineTilt, pose: Spots, torso_px: float | None) -> Reading | None:
    left, right = (pose.spot(*keypoints_of(measure.joint, side)) for side in SIDES)
    if left is None or right is None:
        return None
    confidence = min(left.score, right.score)
    apart, across = abs(left.y - right.y), abs(left.x - right.x)
    if isinstance(measure, LineTilt):
        return Reading(math.degrees(math.atan2(apart, across)), confidence) if apart or across else None
    return Reading(apart / torso_px, confidence) if torso_px else None


def _angle_difference(measure: AngleDifference, pose: Spots) -> Reading | None:
    angles: list[float] = []
    scores: list[float] = []
    for side in SIDES:
        spots = [spot for name in measure.points if (spot := pose.spot(*keypoints_of(name, side))) is not None]
        angle = joint_angle_degrees(*spots) if len(spots) == 3 else None
        if angle is None:
            return None
        angles.append(angle)
        scores.extend(spot.score for spot in spots)
    return Reading(abs(angles[0] - angles[1]), min(scores))


def _joined(readings: list[Reading], sides: str) -> Reading | None:
    total = sum(reading.confidence for reading in readings)
    if total <= 0:
        return None
    if sides != "mean":
        return min(readings) if sides == "least" else max(readings)
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


def bend_degrees(first: Spot, middle: Spot, last: Spot) -> float | None:
    """How far three points are from straight, positive when `middle` lies above the line of the two others."""
    angle = joint_angle_degrees(first, middle, last)
    along = (last.x - first.x, last.y - first.y)
    if angle is None or along == (0.0, 0.0):
        return None
    share = ((middle.x - first.x) * along[0] + (middle.y - first.y) * along[1]) / (along[0] ** 2 + along[1] ** 2)
    below = middle.y - (first.y + share * along[1])
    return math.copysign(180.0 - angle, -below)


def tilt_degrees(base: Spot, tip: Spot) -> float | None:
    """How far base -> tip leans from upright, 0 to 180; None when it has no length."""
    right, up = tip.x - base.x, base.y - tip.y
    return math.degrees(math.atan2(abs(right), up)) if (right, up) != (0.0, 0.0) else None


def _distance(one: Spot, two: Spot, along: str) -> float:
    if along == "any":
        return math.hypot(one.x - two.x, one.y - two.y)
    return abs(one.x - two.x) if along == "x" else abs(one.y - two.y)
