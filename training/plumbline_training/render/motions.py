"""Exercise poses from a few physical numbers: joint angles, planted feet and hands, and balance over the feet.

Angles in degrees, lengths in metres; axes as in body.py. Legs and planted arms are placed by inverse kinematics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from plumbline_training.render.body import SEGMENT_INDEX
from plumbline_training.render.pose import (
    SIDES,
    Limb,
    Number,
    Pose,
    Rotation,
    Side,
    Skeleton,
    Vector,
    apply,
    cross,
    dot,
    pitch,
    reach,
    rotation,
    sign,
    unit,
    yaw,
)

DOWN: Final = np.array([0.0, 0.0, -1.0])
FORWARD: Final = np.array([0.0, -1.0, 0.0])

MASS_SHARE: Final[dict[str, float]] = {
    "head": 0.08,
    "chest": 0.22,
    "spine03": 0.16,
    "pelvis": 0.12,
    **{f"{name}.{side}": share for side in SIDES for name, share in (("forearm", 0.035), ("hand", 0.015))},
    **{f"{name}.{side}": share for side in SIDES for name, share in (("thigh", 0.08), ("shin", 0.08), ("foot", 0.03))},
}
"""Body mass carried at each segment's pivot, after the usual anthropometric tables: enough to balance a squat."""


def centre_of_mass(skeleton: Skeleton, pose: Pose) -> Vector:
    """Where the posed body's weight acts."""
    _, positions_S3 = skeleton.solve(pose)
    weighted = [share * positions_S3[..., SEGMENT_INDEX[name], :] for name, share in MASS_SHARE.items()]
    return np.asarray(np.sum(weighted, axis=0), dtype=np.float64) / sum(MASS_SHARE.values())


def arm(side: Side, trunk: Rotation, raise_degrees: float, out_degrees: float, flexion: float, turn: float = 0) -> Limb:
    """An arm in the trunk's frame: raised forward from hanging, then swung outward, elbow bent, turned about itself."""
    outward = rotation((0, 0, 1), sign(side) * out_degrees)
    upper = trunk @ outward @ pitch(-raise_degrees) @ DOWN
    hinge = trunk @ outward @ np.array([-1.0, 0.0, 0.0])
    hinge = rotation(upper, sign(side) * turn) @ hinge
    return Limb(upper, rotation(hinge, flexion) @ upper, hinge)


def hanging_arm(side: Side, trunk: Rotation, away_degrees: float = 10, flexion: float = 15) -> Limb:
    """An arm at the side, some degrees away from the trunk."""
    upper = trunk @ rotation((0, 1, 0), -sign(side) * away_degrees) @ DOWN
    hinge = trunk @ np.array([-1.0, 0.0, 0.0])
    return Limb(upper, rotation(hinge, flexion) @ upper, hinge)


def arm_to(skeleton: Skeleton, pose: Pose, side: Side, target: Vector, pole: Vector) -> Limb:
    """An arm whose wrist reaches a world position, the elbow pointing to `pole`."""
    _, positions_S3 = skeleton.solve(pose)
    shoulder = positions_S3[SEGMENT_INDEX[f"upper_arm.{side}"]].astype(np.float64)
    upper, lower = reach(shoulder, target, skeleton.lengths.upper_arm, skeleton.lengths.forearm, pole)
    return Limb(upper, lower, unit(cross(pole, unit(target - shoulder))))


def plant_leg(skeleton: Skeleton, pose: Pose, side: Side, ankle: Vector, pole: Vector, foot: Rotation) -> Limb:
    """A leg from the posed hip to a planted ankle, the knee pointing to `pole`."""
    root, hip = skeleton.rest("pelvis"), skeleton.rest(f"thigh.{side}")
    start = root + pose.position + apply(pose.pelvis, hip - root)
    upper, lower = reach(start, ankle, skeleton.lengths.thigh, skeleton.lengths.shin, pole)
    along = unit(ankle - start)
    return Limb(upper, lower, unit(cross(unit(pole - dot(pole, along) * along), along)), foot)


def straight_leg(
    side: Side, pelvis: Rotation, flex: Number = 0, out: float = 3, knee: float = 2, toe: float = 8
) -> Limb:
    """A leg in the pelvis's frame: hip flexion, abduction, knee flexion; the foot square to the shin."""
    base = pelvis @ rotation((0, 1, 0), -sign(side) * out) @ pitch(np.negative(flex))
    hinge = apply(base, (1.0, 0.0, 0.0))
    upper = apply(base, DOWN)
    lower = apply(rotation(hinge, knee), upper)
    return Limb(upper, lower, hinge, rotation(hinge, knee) @ base @ yaw(sign(side) * toe))


def standing(skeleton: Skeleton, lean: float = 2, toe: float = 8, width: float = 0.28) -> Pose:
    """Upright, arms hanging, feet planted `width` metres apart at the ankles."""
    return squat(skeleton, Squat(thigh_degrees=3, shin_degrees=1, width=width, toe_out=toe, lean_degrees=lean))


@dataclass(frozen=True)
class Squat:
    """One instant of a squat. The trunk's lean is what keeps balance unless `lean_degrees` forces it."""

    thigh_degrees: float
    """Thigh from vertical seen from the side: about 0 standing, 90 horizontal, above 90 deeper."""
    shin_degrees: float
    """Shin's forward tilt."""
    width: float = 0.36
    toe_out: float = 18
    knees_in: float = 0.0
    """How far the knees cave in, as degrees that their direction turns inward from the toes."""
    twist: float = 0.0
    lean_degrees: float | None = None
    arms: str = "hang"
    arm_degrees: float = 90.0


def squat_pose_at(skeleton: Skeleton, squat_: Squat, lean: float) -> Pose:
    """The squat at a given lean of the trunk, ankles on the ground and centred on the origin."""
    size, phi, alpha = skeleton.lengths, math.radians(squat_.thigh_degrees), math.radians(squat_.shin_degrees)
    hip_mid = (skeleton.rest("thigh.L") + skeleton.rest("thigh.R")) / 2
    back = size.thigh * math.sin(phi) - size.shin * math.sin(alpha)
    up = size.thigh * math.cos(phi) + size.shin * math.cos(alpha) + size.ankle_height
    pelvis = yaw(squat_.twist) @ pitch(lean * 0.9)
    chest = yaw(squat_.twist) @ pitch(lean)
    root = skeleton.rest("pelvis")
    position = np.array([0.0, back, up]) - pelvis @ (hip_mid - root) - root
    head = yaw(squat_.twist) @ pitch(lean * 0.35)
    arms = {side: hanging_arm(side, chest) for side in SIDES}
    pose = Pose(pelvis, chest, head, arms, {}, position)
    for side in SIDES:
        heading = squat_.toe_out - squat_.knees_in
        pole = yaw(sign(side) * heading) @ FORWARD
        ankle = np.array([sign(side) * squat_.width / 2, 0.0, size.ankle_height])
        pose.legs[side] = plant_leg(skeleton, pose, side, ankle, pole, yaw(sign(side) * squat_.toe_out))
    place_arms(skeleton, pose, squat_.arms, squat_.arm_degrees)
    return pose


HAND_PLACES: Final[dict[str, tuple[Vector, Vector]]] = {
    "goblet": (np.array([0.05, -0.24, -0.16]), np.array([0.5, 0.3, -1.0])),
    "crossed": (np.array([-0.11, -0.19, -0.10]), np.array([0.4, -0.6, -1.0])),
    "hips": (np.array([0.17, -0.04, -0.42]), np.array([1.0, 0.8, 0.0])),
    "head": (np.array([0.10, 0.06, 0.18]), np.array([1.0, -0.1, 0.3])),
    "bar": (np.array([0.30, -0.02, 0.03]), np.array([0.3, 0.5, -1.0])),
}
"""The left wrist from the middle of the shoulders, for arms of 0.52 m, and the elbow's pole: in the chest's frame."""


def place_arms(skeleton: Skeleton, pose: Pose, arms: str, level_degrees: float = 90.0) -> None:
    """Sets both arms: a key of HAND_PLACES, "forward" (raised so far, in the world), "overhead" or "hang"."""
    heading = pose.chest @ FORWARD
    upright = yaw(math.degrees(math.atan2(heading[0], -heading[1])))
    for side in SIDES:
        if arms == "forward":
            pose.arms[side] = arm(side, upright, level_degrees, -4, 6)
        elif arms == "overhead":
            pose.arms[side] = arm(side, pose.chest, 168, 20, 8)
        else:
            pose.arms[side] = hanging_arm(side, upright if arms == "hang" else pose.chest)
    if arms in HAND_PLACES:
        _, positions_S3 = skeleton.solve(pose)
        shoulders = (positions_S3[SEGMENT_INDEX["upper_arm.L"]] + positions_S3[SEGMENT_INDEX["upper_arm.R"]]) / 2
        scale = (skeleton.lengths.upper_arm + skeleton.lengths.forearm) / 0.52
        for side in SIDES:
            place, pole = (vector * (sign(side), 1, 1) for vector in HAND_PLACES[arms])
            target = shoulders + pose.chest @ place * scale
            pose.arms[side] = arm_to(skeleton, pose, side, target, pose.chest @ unit(pole))


def squat(skeleton: Skeleton, squat_: Squat) -> Pose:
    """A squat in balance: the lean that brings the weight over the middle of the feet, between 0 and 65 degrees."""
    if squat_.lean_degrees is not None:
        return squat_pose_at(skeleton, squat_, squat_.lean_degrees)
    mid_foot = -0.035
    low, high = 0.0, 65.0
    for _ in range(9):
        lean = (low + high) / 2
        behind = centre_of_mass(skeleton, squat_pose_at(skeleton, squat_, lean))[1] > mid_foot
        low, high = (lean, high) if behind else (low, lean)
    return squat_pose_at(skeleton, squat_, (low + high) / 2)


def hinge_pose(skeleton: Skeleton, lean: float, knee: float) -> Pose:
    """A hip hinge, as in a deadlift: lean chosen, thighs tilted a little, arms hanging straight down."""
    return squat(skeleton, Squat(knee, 2, lean_degrees=lean, width=0.3, toe_out=8))
