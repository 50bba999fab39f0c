"""Where a person is in a picture: a centre, a size and an angle, and the affine matrix that crops it.

Coordinates are pixel indices with the pixel's centre at the integer, as in OpenCV and COCO: x to the right, y down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from plumbline_contract.errors import InvalidBox


@dataclass(frozen=True)
class Box:
    """A possibly rotated rectangle in image pixels.

    `angle_degrees` turns the box clockwise as seen on the screen: at 90 the crop's top shows what lies to the right.
    Raises InvalidBox for a size that is not positive or a number that is not finite.
    """

    centre_x: float
    centre_y: float
    width: float
    height: float
    angle_degrees: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.centre_x, self.centre_y, self.width, self.height, self.angle_degrees)
        if not all(math.isfinite(number) for number in numbers) or self.width <= 0 or self.height <= 0:
            raise InvalidBox(f"{self!r}: width and height must be positive and every number finite")

    @classmethod
    def from_xywh(cls, xywh: Sequence[float]) -> Box:
        """From COCO's (left, top, width, height) in pixels."""
        left, top, width, height = (float(value) for value in xywh)
        return cls(left + (width - 1) / 2, top + (height - 1) / 2, width, height)

    @classmethod
    def whole_image(cls, height: int, width: int) -> Box:
        """The box that covers an image of this size."""
        return cls((width - 1) / 2, (height - 1) / 2, width, height)

    def padded(self, factor: float) -> Box:
        """The same box with both sides multiplied by `factor`."""
        return replace(self, width=self.width * factor, height=self.height * factor)

    def with_aspect(self, aspect: float) -> Box:
        """The smallest box around this one, same centre and angle, whose width / height is `aspect`."""
        if self.width > aspect * self.height:
            return replace(self, height=self.width / aspect)
        return replace(self, width=self.height * aspect)


def box_from_keypoints(keypoints_K3: npt.NDArray[np.floating], min_score: float = 0.0) -> Box | None:
    """The upright box around all keypoints (x, y, score) whose score exceeds `min_score`; None when they span no area.

    Needs at least two keypoints apart in both axes by a pixel in sum; a side thinner than a tenth of the other is
    widened to it, so that a person seen as a line (arms down, exactly sideways) still has a box.
    """
    seen_N2 = keypoints_K3[keypoints_K3[:, 2] > min_score, :2].astype(np.float64)
    if len(seen_N2) < 2:
        return None
    low, high = seen_N2.min(axis=0), seen_N2.max(axis=0)
    width, height = (float(side) for side in high - low)
    if max(width, height) < 1.0:
        return None
    centre_x, centre_y = (float(value) for value in (low + high) / 2)
    return Box(centre_x, centre_y, max(width, height / 10), max(height, width / 10))


def affine_matrix(box: Box, input_height: int, input_width: int) -> npt.NDArray[np.float64]:
    """The (2, 3) matrix that maps image pixels into a crop of (input_height, input_width) pixels.

    The box is first grown to the crop's aspect, so the scale is the same in both axes; its edges land on the crop's
    edges (half a pixel outside the first and last pixel centres).
    """
    box = box.with_aspect(input_width / input_height)
    scale = input_width / box.width
    angle = math.radians(box.angle_degrees)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    target = np.array([(input_width - 1) / 2, (input_height - 1) / 2])
    offset = target - linear @ np.array([box.centre_x, box.centre_y])
    return np.concatenate([linear, offset[:, None]], axis=1)


def invert_affine(matrix_23: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The (2, 3) matrix that undoes `matrix_23`."""
    inverse = np.linalg.inv(matrix_23[:, :2].astype(np.float64))
    return np.concatenate([inverse, -inverse @ matrix_23[:, 2:].astype(np.float64)], axis=1)


def transform_points(
    matrix_23: npt.NDArray[np.floating], points_N2: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Points (..., 2) carried through an affine matrix (2, 3)."""
    return np.asarray(points_N2 @ matrix_23[:, :2].T + matrix_23[:, 2], dtype=np.float64)
