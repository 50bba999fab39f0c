"""The annotated picture: skeleton, the correct pose as a ghost, repetitions, cue and FPS."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import FACE, LIMBS, Keypoint

Points = npt.NDArray[np.floating]
Colour = tuple[int, int, int]

# BGR, OpenCV's order.
BODY: Final[Colour] = (245, 235, 215)
FAULT: Final[Colour] = (60, 70, 250)
GHOST: Final[Colour] = (150, 230, 90)
INK: Final[Colour] = (28, 22, 18)
TEXT: Final[Colour] = (250, 250, 250)
MUTED: Final[Colour] = (190, 185, 178)

FONT: Final = cv2.FONT_HERSHEY_DUPLEX
REFERENCE_AREA: Final = 640 * 480
"""Sizes below are in pixels of a picture of this size, upright or wide, and grow with it."""
DRAWN_SCORE: Final = 0.2
"""Keypoints scored below this are not drawn."""
LEAST_ARROW: Final = 14
"""A joint that is to move by fewer pixels gets no arrow."""
GHOST_OPACITY: Final = 0.45
PANEL_OPACITY: Final = 0.62


@dataclass(frozen=True)
class Overlay:
    """What is written and drawn over a picture."""

    keypoints_K3: Points | None
    ghost_K3: Points | None
    faulty: frozenset[Keypoint]
    reps: int
    phase: str
    cue: str | None
    cue_is_praise: bool
    fps: float

    def mirrored(self, width: int) -> Overlay:
        """The same over a picture of this width whose left and right are exchanged."""
        return replace(self, keypoints_K3=_mirrored(self.keypoints_K3, width), ghost_K3=_mirrored(self.ghost_K3, width))


def _mirrored(points_KN: Points | None, width: int) -> Points | None:
    if points_KN is None:
        return None
    mirrored_KN: Points = np.array(points_KN)
    mirrored_KN[:, 0] = width - 1 - mirrored_KN[:, 0]
    return mirrored_KN


def draw_annotated(image_bgr_HW3: Image, overlay: Overlay) -> None:
    """Draw all of the overlay onto the picture itself: for a picture that stands alone."""
    draw_pose(image_bgr_HW3, overlay)
    draw_panels(image_bgr_HW3, overlay)


def draw_pose(image_bgr_HW3: Image, overlay: Overlay) -> None:
    """Draw the ghost and the skeleton onto the picture: for a picture beside which the rest is written."""
    scale = _scale(image_bgr_HW3)
    if overlay.ghost_K3 is not None:
        _draw_ghost(image_bgr_HW3, overlay.ghost_K3, scale)
    if overlay.keypoints_K3 is not None:
        _draw_skeleton(image_bgr_HW3, overlay.keypoints_K3, overlay.faulty, scale)
        if overlay.ghost_K3 is not None:
            _draw_arrows(image_bgr_HW3, overlay.keypoints_K3, overlay.ghost_K3, overlay.faulty, scale)


def draw_panels(image_bgr_HW3: Image, overlay: Overlay) -> None:
    """Write repetitions, phase, FPS and the cue onto the picture."""
    scale = _scale(image_bgr_HW3)
    _draw_reps(image_bgr_HW3, overlay, scale)
    _draw_fps(image_bgr_HW3, overlay.fps, scale)
    if overlay.keypoints_K3 is None:
        _draw_banner(image_bgr_HW3, "Step into the picture", MUTED, scale)
    elif overlay.cue:
        _draw_banner(image_bgr_HW3, overlay.cue, GHOST if overlay.cue_is_praise else FAULT, scale)


def _scale(image: Image) -> float:
    return math.sqrt(int(image.shape[0]) * int(image.shape[1]) / REFERENCE_AREA)


def _is_drawn(keypoints_K3: Points) -> npt.NDArray[np.bool_]:
    return np.asarray((keypoints_K3[:, 2] >= DRAWN_SCORE) & np.isfinite(keypoints_K3).all(axis=1))


def _visible_limbs(keypoints_K3: Points) -> Iterable[tuple[Keypoint, Keypoint]]:
    seen_K = _is_drawn(keypoints_K3)
    return ((start, end) for start, end in LIMBS if seen_K[start] and seen_K[end])


def _point(keypoints_K3: Points, keypoint: Keypoint) -> tuple[int, int]:
    # OpenCV overflows on coordinates far outside the picture.
    x, y = np.clip(keypoints_K3[keypoint, :2], -10_000, 10_000)
    return round(float(x)), round(float(y))


def _draw_skeleton(image: Image, keypoints_K3: Points, faulty: frozenset[Keypoint], scale: float) -> None:
    width, radius = max(2, round(3 * scale)), max(3, round(5 * scale))
    limbs = list(_visible_limbs(keypoints_K3))
    for colour, extra in ((INK, 2 * max(1, round(scale))), (None, 0)):
        for start, end in limbs:
            limb = FAULT if {start, end} <= faulty else BODY
            points = _point(keypoints_K3, start), _point(keypoints_K3, end)
            thin = start in FACE and end in FACE
            cv2.line(image, *points, colour or limb, (max(1, width // 2) if thin else width) + extra, cv2.LINE_AA)
    for keypoint in (Keypoint(int(index)) for index in np.flatnonzero(_is_drawn(keypoints_K3))):
        centre = _point(keypoints_K3, keypoint)
        size = max(2, radius // 2) if keypoint in FACE else radius
        colour = FAULT if keypoint in faulty else BODY
        cv2.circle(image, centre, size + max(1, round(1.5 * scale)), INK, -1, cv2.LINE_AA)
        cv2.circle(image, centre, size, colour, -1, cv2.LINE_AA)
        if keypoint in faulty:
            cv2.circle(image, centre, round(2.4 * radius), FAULT, max(2, round(2 * scale)), cv2.LINE_AA)


def _draw_ghost(image: Image, ghost_K3: Points, scale: float) -> None:
    limbs = [limb for limb in _visible_limbs(ghost_K3) if limb[0] not in FACE]
    if not limbs:
        return
    width = max(4, round(11 * scale))
    points_N2 = np.array([_point(ghost_K3, keypoint) for limb in limbs for keypoint in limb])
    left, top = np.maximum(points_N2.min(axis=0) - width, 0)
    right, bottom = points_N2.max(axis=0) + width
    region = image[top : max(bottom, 0), left : max(right, 0)]
    if region.size == 0:
        return
    painted = region.copy()
    for start, end in limbs:
        (x1, y1), (x2, y2) = _point(ghost_K3, start), _point(ghost_K3, end)
        cv2.line(painted, (x1 - int(left), y1 - int(top)), (x2 - int(left), y2 - int(top)), GHOST, width, cv2.LINE_AA)
    cv2.addWeighted(painted, GHOST_OPACITY, region, 1 - GHOST_OPACITY, 0, dst=region)


def _draw_arrows(
    image: Image, keypoints_K3: Points, ghost_K3: Points, faulty: frozenset[Keypoint], scale: float
) -> None:
    """From each joint at fault to where it belongs, unless it is nearly there."""
    drawn_K = _is_drawn(keypoints_K3) & _is_drawn(ghost_K3)
    for keypoint in sorted(faulty):
        start, end = _point(keypoints_K3, keypoint), _point(ghost_K3, keypoint)
        if drawn_K[keypoint] and math.dist(start, end) >= LEAST_ARROW * scale:
            for colour, width in ((INK, round(5 * scale)), (GHOST, round(3 * scale))):
                cv2.arrowedLine(image, start, end, colour, max(2, width), cv2.LINE_AA, tipLength=0.3)


def _draw_reps(image: Image, overlay: Overlay, scale: float) -> None:
    number, phase = str(overlay.reps), overlay.phase.replace("_", " ")
    number_width, number_height = _text_size(number, 2.0 * scale)
    phase_width, _ = _text_size(phase, 0.5 * scale)
    label_width, _ = _text_size("reps", 0.6 * scale)
    pad, left, top = round(12 * scale), round(12 * scale), round(12 * scale)
    width = 2 * pad + max(number_width + round(8 * scale) + label_width, phase_width)
    height = 2 * pad + number_height + round(24 * scale)
    _panel(image, left, top, width, height, scale)
    baseline = top + pad + number_height
    _text(image, number, left + pad, baseline, 2.0 * scale, TEXT)
    _text(image, "reps", left + pad + number_width + round(8 * scale), baseline, 0.6 * scale, MUTED)
    _text(image, phase, left + pad, baseline + round(24 * scale), 0.5 * scale, GHOST)


def _draw_fps(image: Image, fps: float, scale: float) -> None:
    text = f"{fps:.0f} FPS" if fps > 0 else "-- FPS"
    width, height = _text_size(text, 0.5 * scale)
    pad = round(9 * scale)
    left, top = image.shape[1] - width - 2 * pad - round(12 * scale), round(12 * scale)
    _panel(image, left, top, width + 2 * pad, height + 2 * pad, scale)
    _text(image, text, left + pad, top + pad + height, 0.5 * scale, TEXT)


def _draw_banner(image: Image, text: str, accent: Colour, scale: float) -> None:
    size = 0.95 * scale
    room = image.shape[1] - round(72 * scale)
    width, height = _text_size(text, size)
    if width > room:
        size *= room / width
        width, height = _text_size(text, size)
    pad = round(14 * scale)
    left = (image.shape[1] - width) // 2 - pad
    top = image.shape[0] - height - 2 * pad - round(16 * scale)
    _panel(image, left, top, width + 2 * pad, height + 2 * pad, scale)
    stripe = max(3, round(5 * scale))
    cv2.rectangle(image, (left, top), (left + stripe, top + height + 2 * pad), accent, -1)
    _text(image, text, left + pad, top + pad + height, size, TEXT)


def _panel(image: Image, left: int, top: int, width: int, height: int, scale: float) -> None:
    region = image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if region.size == 0:
        return
    ink: npt.NDArray[np.uint8] = np.full_like(region, INK)
    cv2.addWeighted(ink, PANEL_OPACITY, region, 1 - PANEL_OPACITY, 0, dst=region)


def _weight(size: float) -> int:
    return max(1, round(size * 1.4))


def _text_size(text: str, size: float) -> tuple[int, int]:
    (width, height), _ = cv2.getTextSize(text, FONT, size, _weight(size))
    return int(width), int(height)


def _text(image: Image, text: str, left: int, baseline: int, size: float, colour: Colour) -> None:
    cv2.putText(image, text, (left, baseline), FONT, size, colour, _weight(size), cv2.LINE_AA)
