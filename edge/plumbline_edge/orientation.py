"""Which way up a body is: the crop turns with it by quarters, as networks see mostly people who stand."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from plumbline_contract.decode import Keypoints
from plumbline_contract.sequence import HIPS, SHOULDERS, midpoint
from plumbline_contract.skeleton import Keypoint

QUARTERS: Final = (0, 90, -90)
"""Upright, head to the right, head to the left. Upside down is left out: keypoints of somebody who stands, mistaken
for somebody on their head, would otherwise turn the crop and prove themselves right."""
TURN_DEGREES: Final = 58.0
"""How far the body must lean from the present quarter before another is taken; more than half a quarter, so that
somebody halfway does not make the crop turn to and fro."""
LEAST_TORSOS: Final = 0.6
"""A body seen along its axis, whose feet and shoulders lie close together in the picture, says nothing of its turn."""
FEET: Final = (
    (Keypoint.LEFT_ANKLE, Keypoint.RIGHT_ANKLE),
    (Keypoint.LEFT_KNEE, Keypoint.RIGHT_KNEE),
    HIPS,
)
"""The axis starts at the first pair that is seen: a squatting torso leans, the body over its feet does not."""


def body_turn(keypoints_K3: Keypoints, turn: int, min_score: float) -> int:
    """The quarter in degrees (see `Box.angle_degrees`) for a body seen like this, `turn` being the present one."""
    shoulders = midpoint(keypoints_K3, SHOULDERS, min_score)
    torso = shoulders - midpoint(keypoints_K3, HIPS, min_score)
    feet = next((point for pair in FEET if np.isfinite(point := midpoint(keypoints_K3, pair, min_score)).all()), None)
    if feet is None or not np.isfinite(torso).all():
        return turn
    axis_x, axis_y = (float(value) for value in shoulders - feet)
    if math.hypot(axis_x, axis_y) < LEAST_TORSOS * float(np.linalg.norm(torso)):
        return turn
    lean = math.degrees(math.atan2(axis_x, -axis_y))
    if abs(_difference(lean, turn)) <= TURN_DEGREES:
        return turn
    return min(QUARTERS, key=lambda quarter: abs(_difference(lean, quarter)))


def _difference(first_degrees: float, second_degrees: float) -> float:
    return (first_degrees - second_degrees + 180) % 360 - 180
