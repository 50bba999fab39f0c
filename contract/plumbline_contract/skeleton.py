"""The 17 COCO keypoints in COCO order: the only place in the repository that spells a keypoint index."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class Keypoint(IntEnum):
    """COCO person keypoints; left and right are the person's own."""

    NOSE = 0
    LEFT_EYE = 1
    RIGHT_EYE = 2
    LEFT_EAR = 3
    RIGHT_EAR = 4
    LEFT_SHOULDER = 5
    RIGHT_SHOULDER = 6
    LEFT_ELBOW = 7
    RIGHT_ELBOW = 8
    LEFT_WRIST = 9
    RIGHT_WRIST = 10
    LEFT_HIP = 11
    RIGHT_HIP = 12
    LEFT_KNEE = 13
    RIGHT_KNEE = 14
    LEFT_ANKLE = 15
    RIGHT_ANKLE = 16


KEYPOINT_NAMES: Final[tuple[str, ...]] = tuple(keypoint.name.lower() for keypoint in Keypoint)
NUM_KEYPOINTS: Final[int] = len(Keypoint)


def keypoint_named(name: str) -> Keypoint:
    """The keypoint with this lower-case COCO name, such as 'left_knee'. Raises ValueError that lists the names."""
    try:
        return Keypoint[name.upper()]
    except KeyError:
        raise ValueError(f"no keypoint is called {name!r}; the 17 names are {', '.join(KEYPOINT_NAMES)}") from None


def mirrored(keypoint: Keypoint) -> Keypoint:
    """The same joint on the person's other side; the nose is its own mirror."""
    name = keypoint.name
    if name.startswith("LEFT_"):
        return Keypoint["RIGHT_" + name[len("LEFT_") :]]
    if name.startswith("RIGHT_"):
        return Keypoint["LEFT_" + name[len("RIGHT_") :]]
    return keypoint


MIRROR: Final[tuple[int, ...]] = tuple(int(mirrored(keypoint)) for keypoint in Keypoint)
"""MIRROR[k] is the index of keypoint k after a horizontal flip."""

FACE: Final[tuple[Keypoint, ...]] = tuple(Keypoint)[: Keypoint.LEFT_SHOULDER]

LIMBS: Final[tuple[tuple[Keypoint, Keypoint], ...]] = (
    (Keypoint.NOSE, Keypoint.LEFT_EYE),
    (Keypoint.NOSE, Keypoint.RIGHT_EYE),
    (Keypoint.LEFT_EYE, Keypoint.LEFT_EAR),
    (Keypoint.RIGHT_EYE, Keypoint.RIGHT_EAR),
    (Keypoint.LEFT_SHOULDER, Keypoint.RIGHT_SHOULDER),
    (Keypoint.LEFT_SHOULDER, Keypoint.LEFT_ELBOW),
    (Keypoint.LEFT_ELBOW, Keypoint.LEFT_WRIST),
    (Keypoint.RIGHT_SHOULDER, Keypoint.RIGHT_ELBOW),
    (Keypoint.RIGHT_ELBOW, Keypoint.RIGHT_WRIST),
    (Keypoint.LEFT_SHOULDER, Keypoint.LEFT_HIP),
    (Keypoint.RIGHT_SHOULDER, Keypoint.RIGHT_HIP),
    (Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP),
    (Keypoint.LEFT_HIP, Keypoint.LEFT_KNEE),
    (Keypoint.LEFT_KNEE, Keypoint.LEFT_ANKLE),
    (Keypoint.RIGHT_HIP, Keypoint.RIGHT_KNEE),
    (Keypoint.RIGHT_KNEE, Keypoint.RIGHT_ANKLE),
)

OKS_SIGMAS: Final[npt.NDArray[np.float64]] = (
    np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89], dtype=np.float64) / 1000
)
"""Per-keypoint standard deviations of the COCO object keypoint similarity (cocodataset, keypoint evaluation)."""
OKS_SIGMAS.setflags(write=False)
