"""From which side the camera sees a person, told by how wide the shoulders and hips look beside the torso."""

from __future__ import annotations

import math
from typing import Final

from plumbline_contract.exercise import View
from plumbline_contract.sequence import HIPS, SHOULDERS
from plumbline_contract.skeleton import Keypoint
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.windows import TrimmedWindow

FRONTAL_WIDTHS: Final[tuple[tuple[tuple[Keypoint, Keypoint], float], ...]] = ((SHOULDERS, 0.75), (HIPS, 0.4))
"""Width over torso length of a person seen straight from the front: our own reading of upright standing adults."""
FRONT_FROM: Final[float] = 0.75
"""About the cosine of the turn away from the camera: a person turned by less than 41 degrees is seen from the front."""
SIDE_BELOW: Final[float] = 0.35
"""A person turned by more than 70 degrees is seen from the side."""
EARS: Final = (Keypoint.LEFT_EAR, Keypoint.RIGHT_EAR)
TORSO_OVER_NECK: Final[float] = 2.2
"""Torso length over the height of the ears above the shoulders: our own reading of upright adults."""
HYSTERESIS: Final[float] = 0.06
UPRIGHT_DEGREES: Final[float] = 30.0
"""A trunk that leans by more in the picture, as at the bottom of a squat, hides how wide it is: the view stays."""
EVIDENCE_READINGS: Final[int] = 3
BENT_SECONDS: Final[float] = 4.0
"""Whoever leans for longer lies or holds a plank."""


class ViewEstimator:
    """The view over the last second, or three frames, changing only when the evidence is clear."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._facing = TrimmedWindow(seconds, frames=EVIDENCE_READINGS)
        self._view: View | None = None
        self._upright_seconds = 0.0

    def update(self, time_seconds: float, pose: Pose, torso_px: float | None) -> View | None:
        """The view, None until shoulders or hips have been seen for a moment."""
        if self._view is None or _is_upright(pose):
            self._upright_seconds = time_seconds
        bent = 0 < time_seconds - self._upright_seconds <= BENT_SECONDS
        told = None if bent else facing_camera(pose, torso_px)
        facing = self._facing.push(time_seconds, told)
        if facing is not None and len(self._facing) >= EVIDENCE_READINGS:
            self._view = self._classified(facing)
        return self._view

    def clear(self) -> None:
        """Forget everything."""
        self._facing.clear()
        self._view = None

    def _classified(self, facing: float) -> View:
        front_from = FRONT_FROM - HYSTERESIS if self._view == "front" else FRONT_FROM
        side_below = SIDE_BELOW + HYSTERESIS if self._view == "side" else SIDE_BELOW
        if facing >= front_from:
            return "front"
        return "side" if facing < side_below else "three_quarter"


def facing_camera(pose: Pose, torso_px: float | None) -> float | None:
    """How far the body faces the camera (or shows its back): about 1 from the front, 0 from the side.

    Whoever shows only one side of the body, hip and shoulder, is seen from that side.
    """
    if not torso_px:
        return None
    shoulders = [bool(pose.seen_K[keypoint]) for keypoint in SHOULDERS]
    hips = [bool(pose.seen_K[keypoint]) for keypoint in HIPS]
    if shoulders == hips and sum(hips) == 1:
        return 0.0
    across = _across(pose)
    facings = []
    for (left, right), frontal_width in FRONTAL_WIDTHS:
        one, other = pose.spot(left), pose.spot(right)
        if one is not None and other is not None:
            width = abs((one.x - other.x) * across[0] + (one.y - other.y) * across[1])
            facings.append(width / torso_px / frontal_width)
    return sum(facings) / len(facings) if facings else None


def _is_upright(pose: Pose) -> bool:
    """Whether the trunk stands in the picture, as far as it is seen."""
    hips, shoulders = pose.spot(*HIPS), pose.spot(*SHOULDERS)
    if hips is None or shoulders is None:
        return True
    lean = math.degrees(math.atan2(abs(shoulders.x - hips.x), abs(shoulders.y - hips.y)))
    return lean < UPRIGHT_DEGREES


def _across(pose: Pose) -> tuple[float, float]:
    """The direction at right angles to the trunk, in which shoulders and hips show their width, lying or standing."""
    hips, shoulders = pose.spot(*HIPS), pose.spot(*SHOULDERS)
    if hips is None or shoulders is None:
        return 1.0, 0.0
    along = shoulders.x - hips.x, shoulders.y - hips.y
    length = math.hypot(*along)
    return (along[1] / length, -along[0] / length) if length else (1.0, 0.0)


def unit_px(pose: Pose) -> float | None:
    """The torso's length; of a person whose hips are hidden, told by how far the ears are above the shoulders."""
    torso_px = pose.torso_px()
    if torso_px is not None:
        return torso_px
    ears, shoulders = pose.spot(*EARS), pose.spot(*SHOULDERS)
    if ears is None or shoulders is None:
        return None
    return TORSO_OVER_NECK * math.hypot(ears.x - shoulders.x, ears.y - shoulders.y) or None
