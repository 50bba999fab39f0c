"""Skeletons drawn over pictures."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import KEYPOINT_NAMES, LIMBS

LEFT_BGR, RIGHT_BGR, MIDDLE_BGR = (178, 114, 0), (0, 159, 230), (240, 240, 240)
"""Blue, orange and white: told apart by colour-blind people too (Okabe and Ito)."""
OUTLINE_BGR = (20, 20, 20)


def side_colour(*keypoints: int) -> tuple[int, int, int]:
    """Of a keypoint or limb: the person's left, right, or neither."""
    sides = {KEYPOINT_NAMES[keypoint].split("_")[0] for keypoint in keypoints}
    if sides == {"left"}:
        return LEFT_BGR
    return RIGHT_BGR if sides == {"right"} else MIDDLE_BGR


def draw_skeleton(
    picture_bgr_HW3: Image,
    keypoints_K3: npt.NDArray[np.floating],
    min_score: float,
    colour: tuple[int, int, int] | None = None,
) -> None:
    """Draw limbs and keypoints whose score exceeds `min_score`, in place; in the sides' colours unless one is given."""
    width = max(1, round(min(picture_bgr_HW3.shape[:2]) / 160))
    points = [tuple(round(float(value)) for value in point[:2]) for point in keypoints_K3]
    shown = keypoints_K3[:, 2] > min_score
    for outline in (True, False):
        for start, end in LIMBS:
            if shown[start] and shown[end]:
                limb = OUTLINE_BGR if outline else colour or side_colour(start, end)
                cv2.line(picture_bgr_HW3, points[start], points[end], limb, width + 2 * outline, cv2.LINE_AA)
        for keypoint, point in enumerate(points):
            if shown[keypoint]:
                dot = OUTLINE_BGR if outline else colour or side_colour(keypoint)
                cv2.circle(picture_bgr_HW3, point, 2 * width + outline, dot, -1, cv2.LINE_AA)


def write_line(picture_bgr_HW3: Image, text: str, row: int = 0) -> None:
    """A line of text at the top left, in place, readable on any ground."""
    scale = max(0.4, picture_bgr_HW3.shape[1] / 1000)
    place = (6, int((row + 1) * 34 * scale))
    for colour, width in ((OUTLINE_BGR, 4), (MIDDLE_BGR, 1)):
        cv2.putText(picture_bgr_HW3, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA)
