"""The correct pose for this person in this view: their own limbs, their feet where they are, only the fault put right.

A picture shows a limb shorter when it points at the camera. So each limb is taken with its true length, which is the
longest it was seen lately, and turned from the vertical: height = length x cosine, and its sideways part in the picture
shrinks and grows with the sine. This holds for any view and keeps the true length. Points are (17, 2) image pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.exercise import DistanceRatio, Fault, MovementProgress, SegmentTilt
from plumbline_contract.sequence import HIPS
from plumbline_contract.skeleton import Keypoint
from plumbline_edge.coach.measures import keypoints_of, tilt_degrees
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.windows import RunningPercentile

Points = npt.NDArray[np.float64]

LEGS: Final = (
    (Keypoint.LEFT_ANKLE, Keypoint.LEFT_KNEE, Keypoint.LEFT_HIP),
    (Keypoint.RIGHT_ANKLE, Keypoint.RIGHT_KNEE, Keypoint.RIGHT_HIP),
)
UPPER_BODY: Final = tuple(keypoint for keypoint in Keypoint if keypoint < Keypoint.LEFT_HIP)
MAX_SHIN_DEGREES: Final[float] = 38.0
"""About as far as an ankle lets the shin lean with the heel on the floor; our own judgement."""
LEAST_SINE: Final[float] = 0.2
"""Below this sine a limb is so upright that the picture does not tell which way it leans."""
SMOOTHING_SECONDS: Final[float] = 0.15
LEAST_MOVE: Final[float] = 0.03
"""A ghost that moves no joint by this many torso lengths is not worth drawing."""

Lengths = Mapping[tuple[Keypoint, Keypoint], float]


class LegLengths:
    """The true lengths of shins and thighs in torso lengths, learnt from how long they were lately seen."""

    def __init__(self, seconds: float = 15.0, percentile: float = 90.0) -> None:
        limbs = [limb for ankle, knee, hip in LEGS for limb in ((ankle, knee), (knee, hip))]
        self._seen = {limb: RunningPercentile(percentile, seconds) for limb in limbs}

    def update(self, time_seconds: float, pose: Pose, torso_px: float) -> None:
        """Take one frame."""
        for limb, seen in self._seen.items():
            one, other = pose.spot(limb[0]), pose.spot(limb[1])
            if one is not None and other is not None:
                seen.push(time_seconds, math.hypot(one.x - other.x, one.y - other.y) / torso_px)

    def in_pixels(self, torso_px: float) -> dict[tuple[Keypoint, Keypoint], float]:
        """The lengths that are known by now."""
        known = {limb: seen.value() for limb, seen in self._seen.items()}
        return {limb: length * torso_px for limb, length in known.items() if length is not None}

    def clear(self) -> None:
        """Forget everything."""
        for seen in self._seen.values():
            seen.clear()


def corrected(pose: Pose, fault: Fault, lengths: Lengths) -> Points | None:
    """The points of a pose with one fault put right; None when there is nothing to move, or too little is seen."""
    measure = fault.condition.measure
    if isinstance(measure, SegmentTilt):
        return _less_tilted(pose, measure, fault.target)
    if isinstance(measure, DistanceRatio):
        return _spread(pose, measure, fault.target, lengths)
    if isinstance(measure, MovementProgress):
        return _lowered(pose, fault.target, lengths)
    return None


def _less_tilted(pose: Pose, measure: SegmentTilt, target_degrees: float) -> Points | None:
    """Turn everything above the base about it, until the segment leans by the target."""
    base = pose.spot(*keypoints_of(measure.base, "left"))
    tip = pose.spot(*keypoints_of(measure.tip, "left"))
    tilt = tilt_degrees(base, tip) if base is not None and tip is not None else None
    if base is None or tip is None or tilt is None or tilt <= target_degrees:
        return None
    back = math.radians(tilt - target_degrees) * (-1 if tip.x > base.x else 1)
    rotation = np.array([[math.cos(back), -math.sin(back)], [math.sin(back), math.cos(back)]])
    points_K2 = _points(pose)
    origin = np.array([base.x, base.y])
    upper = list(UPPER_BODY)
    points_K2[upper] = (points_K2[upper] - origin) @ rotation.T + origin
    return points_K2


def _spread(pose: Pose, measure: DistanceRatio, target: float, lengths: Lengths) -> Points | None:
    """Move two joints sideways, until they are apart by the target times the distance of the two others."""
    moved = [keypoints_of(name, "left")[0] for name in measure.between]
    fixed = [keypoints_of(name, "left")[0] for name in measure.over]
    if not pose.seen_K[moved + fixed].all():
        return None
    points_K2 = _points(pose)
    middle_x = points_K2[fixed, 0].mean()
    wanted_x = middle_x + target * (points_K2[fixed, 0] - middle_x)
    outward = np.sign(points_K2[fixed, 0] - middle_x)
    further = (wanted_x - points_K2[moved, 0]) * outward > 0
    for joint, x in zip(np.array(moved)[further], wanted_x[further], strict=True):
        points_K2[joint, 0] = _within_reach(points_K2, Keypoint(joint), float(x), lengths)
    return points_K2 if further.any() else None


def _points(pose: Pose) -> Points:
    return np.array(pose.keypoints_K3[:, :2], dtype=np.float64)


def _within_reach(points_K2: Points, joint: Keypoint, x: float, lengths: Lengths) -> float:
    """The x nearest to `x` at which no limb of the joint is longer than it truly is."""
    for limb, length in lengths.items():
        if joint in limb:
            other_x, other_y = points_K2[limb[0] if limb[1] == joint else limb[1]]
            across = math.sqrt(max(length**2 - (points_K2[joint, 1] - other_y) ** 2, 0.0))
            across = max(across, abs(points_K2[joint, 0] - other_x))
            x = min(max(x, other_x - across), other_x + across)
    return x


def _lowered(pose: Pose, target_progress: float, lengths: Lengths) -> Points | None:
    """Fold the legs above the planted feet until the thighs are as near to level as the target says."""
    points_K2 = _points(pose)
    hip_moves = []
    for ankle, knee, hip in LEGS:
        if not pose.seen_K[[ankle, knee, hip]].all():
            continue
        shin, thigh = points_K2[knee] - points_K2[ankle], points_K2[hip] - points_K2[knee]
        thigh_angle, shin_angle = _angle(thigh, lengths.get((knee, hip))), _angle(shin, lengths.get((ankle, knee)))
        wanted_angle = math.acos(max(0.0, 1.0 - target_progress))
        if wanted_angle <= thigh_angle:
            continue
        wanted_shin = max(
            shin_angle, min(shin_angle * wanted_angle / max(thigh_angle, 0.1), math.radians(MAX_SHIN_DEGREES))
        )
        new_knee = points_K2[ankle] + _turned(shin, shin_angle, wanted_shin)
        new_hip = new_knee + _turned(thigh, thigh_angle, wanted_angle)
        hip_moves.append(new_hip - points_K2[hip])
        points_K2[knee] = new_knee
    if not hip_moves:
        return None
    points_K2[[*UPPER_BODY, *HIPS]] += np.mean(hip_moves, axis=0)
    return points_K2


def _angle(limb_2: Points, true_length: float | None) -> float:
    """The angle in radians between a limb and the vertical, from its height in the picture and its true length."""
    length = max(true_length or 0.0, float(np.hypot(*limb_2)), 1e-6)
    return math.acos(min(max(-limb_2[1] / length, -1.0), 1.0))


def _turned(limb_2: Points, angle: float, new_angle: float) -> Points:
    """A limb (x, y down) at `angle` from the vertical, turned to `new_angle` in the plane that it lies in."""
    upright = max(math.cos(angle), 1e-3)
    length = max(-limb_2[1] / upright, float(np.hypot(*limb_2)))
    across = limb_2[0] * math.sin(new_angle) / max(math.sin(angle), LEAST_SINE)
    return np.array([across, -length * math.cos(new_angle)])


class Ghost:
    """Draws the correct pose smoothly from frame to frame."""

    def __init__(self) -> None:
        self._moves_K2: Points | None = None
        self._last_seconds = 0.0

    def update(self, time_seconds: float, pose: Pose, wanted_K2: Points | None, torso_px: float) -> Points | None:
        """The ghost (17, 3), moving towards `wanted_K2`; None when nothing is to be corrected.

        Its score is the person's, so a joint that is not seen has no ghost.
        """
        if wanted_K2 is None:
            self._moves_K2 = None
            return None
        moves_K2 = np.where(pose.seen_K[:, None], wanted_K2 - pose.keypoints_K3[:, :2], 0.0)
        if self._moves_K2 is not None:
            share = 1 - math.exp(-(time_seconds - self._last_seconds) / SMOOTHING_SECONDS)
            moves_K2 = self._moves_K2 + share * (moves_K2 - self._moves_K2)
        self._moves_K2, self._last_seconds = moves_K2, time_seconds
        if np.abs(moves_K2).max() < LEAST_MOVE * torso_px:
            return None
        points_K2 = np.where(pose.seen_K[:, None], pose.keypoints_K3[:, :2] + moves_K2, 0.0)
        return np.concatenate([points_K2, pose.keypoints_K3[:, 2:]], axis=1)


def planted(points_K2: Points, pose: Pose, at: Pose) -> Points | None:
    """Points of `pose`, an earlier one, moved so that its feet stand where those of `at` stand."""
    feet = (Keypoint.LEFT_ANKLE, Keypoint.RIGHT_ANKLE)
    before, now = pose.spot(*feet), at.spot(*feet)
    if before is None or now is None:
        return None
    return np.asarray(points_K2 + np.array([now.x - before.x, now.y - before.y]))
