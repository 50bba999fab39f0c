"""Poses of real people: 2D keypoints of COCO lifted to a body's joints, for variety that no exercise has.

A scaled orthographic view is assumed and each bone's depth follows from its known length, up to its sign (Taylor, CVIU
2000); of the two signs of each bone the pair that a knee, hip or elbow can do is taken. What comes out need not be the
photographed pose exactly: the body that is rendered has exact keypoints of its own. N persons, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import NUM_KEYPOINTS, Keypoint
from plumbline_training.render.errors import InvalidRequest
from plumbline_training.render.pose import (
    SIDES,
    Limb,
    Pose,
    Rotation,
    Side,
    Skeleton,
    Vector,
    cross,
    part_way,
    sign,
    unit,
    yaw,
)

Points = npt.NDArray[np.float64]

FIELD: Final = "keypoints_xy_u16_v"
ASPECTS: Final = (4 / 3, 3 / 4)
"""The file has no picture sizes: of COCO's two common ones the one that needs less depth is taken."""
BODY: Final = tuple(range(Keypoint.LEFT_SHOULDER, NUM_KEYPOINTS))
HEAD_DEPTH: Final = 0.11
"""Metres from between the ears to the tip of the nose."""


@dataclass(frozen=True)
class PosePrior:
    """2D keypoints (N, K, 3) as parts of the picture's width and height, and whether each is labelled."""

    keypoints_NK3: npt.NDArray[np.uint16]

    def sample(self, rng: np.random.Generator, skeleton: Skeleton) -> Pose:
        """Somebody's pose, on this body."""
        keypoints_K3 = self.keypoints_NK3[int(rng.integers(len(self.keypoints_NK3)))].astype(np.float64)
        return lift(keypoints_K3 / (65535, 65535, 1), skeleton, rng)


def load_prior(path: Path) -> PosePrior:
    """An .npz with `keypoints_xy_u16_v` (N, 17, 3) uint16: x and y as 65535ths of width and height, and v.

    Persons with a body joint unlabelled or a tiny torso are left out. Raises InvalidRequest for any other file.
    """
    try:
        with np.load(path) as arrays:
            keypoints_NK3 = arrays[FIELD]
    except (OSError, ValueError, KeyError) as error:
        raise InvalidRequest(f"--poses {str(path)!r} has no {FIELD!r}: {error}") from error
    if keypoints_NK3.ndim != 3 or keypoints_NK3.shape[1:] != (NUM_KEYPOINTS, 3):
        raise InvalidRequest(f"--poses {str(path)!r}: {FIELD!r} is {keypoints_NK3.shape!r}, needed is (N, 17, 3)")
    complete = (keypoints_NK3[:, BODY, 2] > 0).all(axis=1)
    xy = keypoints_NK3[..., :2] / 65535
    torso = xy[:, [Keypoint.LEFT_SHOULDER, Keypoint.RIGHT_SHOULDER]].mean(axis=1)
    torso = torso - xy[:, [Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP]].mean(axis=1)
    chosen = keypoints_NK3[complete & (np.linalg.norm(torso, axis=1) > 0.05)]
    if not len(chosen):
        raise InvalidRequest(f"--poses {str(path)!r} has nobody with all of shoulders to ankles labelled")
    return PosePrior(np.asarray(chosen, dtype=np.uint16))


def lift(keypoints_K3: Points, skeleton: Skeleton, rng: np.random.Generator) -> Pose:
    """The pose of a body whose front view shows these keypoints (x, y as parts of the picture, v)."""
    candidates = [_scaled(keypoints_K3[:, :2] * (aspect, 1.0), skeleton) for aspect in ASPECTS]
    plane_K2, _ = max(candidates, key=lambda pair: pair[1])
    lateral, up = _torso(plane_K2, skeleton, rng)
    facing = unit(cross(lateral, up))
    trunk = np.stack([lateral, -facing, up], axis=1)
    hips = _lateral(plane_K2, Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP, lateral)
    pelvis = _frame(hips, up)
    legs = {side: _leg(plane_K2, side, skeleton, pelvis, rng) for side in SIDES}
    arms = {side: _arm(plane_K2, side, skeleton, trunk, rng) for side in SIDES}
    return Pose(pelvis, trunk, _head(keypoints_K3, plane_K2, trunk, rng), arms, legs)


def _bones(skeleton: Skeleton) -> list[tuple[int, int, float]]:
    size, bones = skeleton.lengths, []
    shoulders = (skeleton.rest("upper_arm.L") + skeleton.rest("upper_arm.R")) / 2
    torso = float(np.linalg.norm(shoulders - (skeleton.rest("thigh.L") + skeleton.rest("thigh.R")) / 2))
    for offset in (0, 1):
        bones += [
            (Keypoint.LEFT_SHOULDER + offset, Keypoint.LEFT_ELBOW + offset, size.upper_arm),
            (Keypoint.LEFT_ELBOW + offset, Keypoint.LEFT_WRIST + offset, size.forearm),
            (Keypoint.LEFT_HIP + offset, Keypoint.LEFT_KNEE + offset, size.thigh),
            (Keypoint.LEFT_KNEE + offset, Keypoint.LEFT_ANKLE + offset, size.shin),
            (Keypoint.LEFT_SHOULDER + offset, Keypoint.LEFT_HIP + offset, torso * 1.02),
        ]
    return bones


def _scaled(xy_K2: Points, skeleton: Skeleton) -> tuple[Points, float]:
    """Points in metres, x to the right and z up, at the scale at which all bones but one outlier fit, and how flat."""
    ratios = np.array([np.linalg.norm(xy_K2[a] - xy_K2[b]) / length for a, b, length in _bones(skeleton)])
    scale = max(float(np.sort(ratios)[-2]) * 1.02, 1e-6)
    return xy_K2 * (1, -1) / scale, float(np.minimum(ratios / scale, 1).mean())


def _depth(plane_2: Points, length: float) -> float:
    return float(np.sqrt(max(0.0, length**2 - float(plane_2 @ plane_2))))


def _torso(plane_K2: Points, skeleton: Skeleton, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Directions of the person's left and of the spine; people lean forward more often than back."""
    width = float(np.linalg.norm(skeleton.rest("upper_arm.L") - skeleton.rest("upper_arm.R")))
    across_2 = plane_K2[Keypoint.LEFT_SHOULDER] - plane_K2[Keypoint.RIGHT_SHOULDER]
    way = float(rng.choice([-1.0, 1.0]))
    lateral = unit((across_2[0], way * _depth(across_2, width), across_2[1]))
    spine_2 = plane_K2[[5, 6]].mean(axis=0) - plane_K2[[11, 12]].mean(axis=0)
    length = next(length for a, b, length in _bones(skeleton) if (a, b) == (5, 11))
    ahead = cross(lateral, (spine_2[0], 0.0, spine_2[1]))[1]
    lean = float(np.sign(ahead) or 1.0) * (1.0 if rng.random() < 0.85 else -1.0)
    up = unit((spine_2[0], lean * _depth(spine_2, length), spine_2[1]))
    return unit(lateral - (lateral @ up) * up), up


def _frame(lateral: Vector, up: Vector) -> Rotation:
    left = unit(lateral - (lateral @ up) * up)
    return np.stack([left, -unit(cross(left, up)), up], axis=1)


def _lateral(plane_K2: Points, left: int, right: int, trunk_lateral: Vector) -> Vector:
    """The hips' own direction in the picture, with the trunk's depth."""
    across_2 = plane_K2[left] - plane_K2[right]
    size = max(float(np.linalg.norm(across_2)), 0.03)
    depth = trunk_lateral[1] / max(float(np.hypot(trunk_lateral[0], trunk_lateral[2])), 0.2) * size
    return unit(unit((across_2[0], depth, across_2[1])) + trunk_lateral)


def _signed(first_2: Points, first: float, second_2: Points, second: float) -> list[tuple[Vector, Vector]]:
    return [
        (unit((first_2[0], one * _depth(first_2, first), first_2[1])),
         unit((second_2[0], two * _depth(second_2, second), second_2[1])))
        for one in (-1, 1)
        for two in (-1, 1)
    ]  # fmt: skip


def _leg(plane_K2: Points, side: Side, skeleton: Skeleton, pelvis: Rotation, rng: np.random.Generator) -> Limb:
    hip, knee, ankle = (int(first) + (side == "R") for first in (11, 13, 15))
    lateral, facing = pelvis[:, 0], -pelvis[:, 1]
    size = skeleton.lengths

    def strain(pair: tuple[Vector, Vector]) -> float:
        upper, lower = pair
        backward_bend = -min(0.0, float(cross(upper, lower) @ lateral) + 0.1)
        too_far_back = -min(0.0, float(upper @ facing) + 0.3)
        outward = -min(0.0, sign(side) * float(upper @ lateral) + 0.35)
        return 4 * backward_bend + 3 * too_far_back + 2 * outward + float(rng.uniform(0, 0.3))

    options = _signed(plane_K2[knee] - plane_K2[hip], size.thigh, plane_K2[ankle] - plane_K2[knee], size.shin)
    upper, lower = min(options, key=strain)
    bend = cross(upper, lower)
    sure = float(np.linalg.norm(bend)) > 0.4 and float(bend @ lateral) > 0
    return Limb(upper, lower, unit(bend) if sure else lateral)


def _arm(plane_K2: Points, side: Side, skeleton: Skeleton, chest: Rotation, rng: np.random.Generator) -> Limb:
    shoulder, elbow, wrist = (int(first) + (side == "R") for first in (5, 7, 9))
    lateral, facing = chest[:, 0], -chest[:, 1]
    size = skeleton.lengths

    def strain(pair: tuple[Vector, Vector]) -> float:
        upper, lower = pair
        hand = size.upper_arm * upper + size.forearm * lower
        behind = -min(0.0, float(hand @ facing))
        inside = max(0.0, 0.14 - float(hand @ facing)) * (sign(side) * float(hand @ lateral) < -0.08)
        return 4 * behind + 3 * inside - 0.6 * float(lower @ facing) + float(rng.uniform(0, 0.5))

    options = _signed(
        plane_K2[elbow] - plane_K2[shoulder], size.upper_arm, plane_K2[wrist] - plane_K2[elbow], size.forearm
    )
    upper, lower = min(options, key=strain)
    bend = cross(upper, lower)
    return Limb(upper, lower, unit(bend) if float(np.linalg.norm(bend)) > 0.25 else -lateral)


def _head(keypoints_K3: Points, plane_K2: Points, chest: Rotation, rng: np.random.Generator) -> Rotation:
    """Half way between the trunk and upright, turned as nose and ears say where they are labelled."""
    upright = _frame(chest[:, 0], unit(0.4 * chest[:, 2] + np.array([0.0, 0.0, 0.6])))
    ears = [ear for ear in (Keypoint.LEFT_EAR, Keypoint.RIGHT_EAR) if keypoints_K3[ear, 2] > 0]
    if keypoints_K3[Keypoint.NOSE, 2] == 0 or not ears:
        return upright @ yaw(float(rng.normal(0, 20)))
    offset = float(np.clip((plane_K2[Keypoint.NOSE, 0] - plane_K2[ears, 0].mean()) / HEAD_DEPTH, -0.98, 0.98))
    gaze = np.array([offset, -np.sqrt(1 - offset**2), 0.0])
    turned = _frame(cross((0.0, 0.0, 1.0), gaze), upright[:, 2])
    angle = np.degrees(np.arccos(np.clip((np.trace(upright.T @ turned) - 1) / 2, -1, 1)))
    return part_way(upright, turned, min(1.0, 70 / max(float(angle), 1e-6)))
