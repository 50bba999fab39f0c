"""A person made of coloured dots, one colour a keypoint: a network of two layers finds them, and so can a test."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import NUM_KEYPOINTS, Keypoint

DATA = Path(__file__).parent / "data"
DOTS_FP32 = DATA / "dots-fp32"
DOTS_INT8 = DATA / "dots-int8"

COLOURS_RGB_K3: npt.NDArray[np.uint8] = np.array(
    [
        (red, green, blue)
        for red in (0, 128, 255)
        for green in (0, 128, 255)
        for blue in (0, 128, 255)
        if max(red, green, blue) == 255 and (red, green, blue) not in ((255, 255, 255), (255, 255, 128))
    ],
    dtype=np.uint8,
)
"""Seventeen colours half a colour range apart, none of which a mixture of another with black comes near."""

# Standing, arms hanging, seen from the front: x to the right of the middle and y from the top, in body heights.
_STANDING = {
    Keypoint.NOSE: (0.0, 0.06),
    Keypoint.LEFT_EYE: (0.03, 0.02),
    Keypoint.LEFT_EAR: (0.07, 0.05),
    Keypoint.LEFT_SHOULDER: (0.12, 0.18),
    Keypoint.LEFT_ELBOW: (0.19, 0.33),
    Keypoint.LEFT_WRIST: (0.20, 0.47),
    Keypoint.LEFT_HIP: (0.08, 0.50),
    Keypoint.LEFT_KNEE: (0.09, 0.73),
    Keypoint.LEFT_ANKLE: (0.10, 0.97),
}


def standing(centre_x: float, top: float, body_height: float) -> npt.NDArray[np.float32]:
    """The keypoints (17, 3) of a standing person."""
    return squatting(centre_x, top, body_height, depth=0.0)


def squatting(centre_x: float, top: float, body_height: float, depth: float) -> npt.NDArray[np.float32]:
    """The same person on the same feet, their hips lowered: not at all for depth 0, to the knees for 1."""
    keypoints_K3 = np.ones((NUM_KEYPOINTS, 3), dtype=np.float32)
    for keypoint, (x, y) in _STANDING.items():
        drop = 0.23 * depth if y <= _STANDING[Keypoint.LEFT_HIP][1] else 0.02 * depth
        wide = 0.06 * depth if keypoint is Keypoint.LEFT_KNEE else 0.0
        for name, side in ((keypoint.name, 1), (keypoint.name.replace("LEFT_", "RIGHT_"), -1)):
            down = 0.0 if keypoint is Keypoint.LEFT_ANKLE else drop
            keypoints_K3[Keypoint[name], 0] = centre_x + side * (x + wide) * body_height
            keypoints_K3[Keypoint[name], 1] = top + (y + down) * body_height
    return keypoints_K3


def squats(
    count: int, *, depth: float = 0.95, seconds: float = 2.0, rate: float = 25.0, size: tuple[int, int] = (360, 480)
) -> list[npt.NDArray[np.float32]]:
    """Keypoints of each frame of a person who stands for a second and does this many squats, each of these seconds."""
    height, width = size
    still = [0.0] * round(rate)
    steps = round(seconds * rate)
    down_and_up = [depth * (1 - math.cos(2 * math.pi * step / steps)) / 2 for step in range(steps)]
    depths = still + (down_and_up + still[: len(still) // 2]) * count
    return [squatting(width / 2, 0.08 * height, 0.85 * height, depth) for depth in depths]


def picture(keypoints_K3: npt.NDArray[np.floating] | None, size: tuple[int, int] = (360, 480)) -> Image:
    """A black BGR picture (height, width) with the person of dots, or without a person."""
    image = np.zeros((*size, 3), dtype=np.uint8)
    if keypoints_K3 is None:
        return image
    spread = keypoints_K3[:, :2].max(axis=0) - keypoints_K3[:, :2].min(axis=0)
    radius = max(3, round(0.03 * float(spread.max())))
    for keypoint, (x, y) in enumerate(keypoints_K3[:, :2]):
        bgr = tuple(int(value) for value in COLOURS_RGB_K3[keypoint][::-1])
        cv2.circle(image, (round(float(x)), round(float(y))), radius, bgr, -1)
    return image


def write_pictures(
    folder: Path, keypoints_TK3: list[npt.NDArray[np.float32]], size: tuple[int, int] = (360, 480)
) -> Path:
    """The frames as pictures without loss in a new folder."""
    folder.mkdir()
    for index, keypoints_K3 in enumerate(keypoints_TK3):
        cv2.imwrite(str(folder / f"{index:05d}.png"), picture(keypoints_K3, size), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return folder


def write_video(path: Path, frames: int = 30, rate: float = 25.0, size: tuple[int, int] = (120, 160)) -> Path:
    """A short mp4 whose frame number is its brightness, in steps of five."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (size[1], size[0]))
    for index in range(frames):
        writer.write(np.full((*size, 3), 5 * index, dtype=np.uint8))
    writer.release()
    return path
