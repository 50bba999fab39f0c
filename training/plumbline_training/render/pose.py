"""Poses as directions of limbs, and the forward kinematics that turns them into one rotation and pivot per segment.

Axes as in body.py: x to the person's left, y backwards, z up. A direction is a unit vector in world axes. Everything
broadcasts: a pose may be one moment, or T moments at once whose vectors are (T, 3) and rotations (T, 3, 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from plumbline_training.render.body import SEGMENT_INDEX, SEGMENTS, Body
from plumbline_training.render.raster import Array

Vector = npt.NDArray[np.float64]
Rotation = npt.NDArray[np.float64]
Side = Literal["L", "R"]
SIDES: Final[tuple[Side, Side]] = ("L", "R")

SPINE_SHARE: Final = {"spine05": 0.12, "spine04": 0.35, "spine03": 0.6, "spine02": 0.85, "chest": 1.0}
NECK_SHARE: Final = {"neck01": 0.25, "neck02": 0.5, "neck03": 0.75, "head": 1.0}


def sign(side: Side) -> float:
    """+1 on the person's left, -1 on the right: the side's direction along x."""
    return 1.0 if side == "L" else -1.0


Number = float | npt.NDArray[np.float64]
"""One number, or one for each moment, (T,)."""


def cross(first: npt.ArrayLike, second: npt.ArrayLike) -> Vector:
    """Cross products of vectors (..., 3); several times faster than numpy's on the few vectors of a pose."""
    a, b = np.broadcast_arrays(np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64))
    product = np.empty(a.shape)
    for axis, (one, two) in enumerate(((1, 2), (2, 0), (0, 1))):
        product[..., axis] = a[..., one] * b[..., two] - a[..., two] * b[..., one]
    return product


def length(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Lengths of vectors (..., 3), kept as (..., 1)."""
    return np.asarray(np.sqrt(np.add.reduce(vector * vector, axis=-1, keepdims=True)))


def unit(vector: npt.ArrayLike) -> Vector:
    """The vectors (..., 3) at length one."""
    array = np.asarray(vector, dtype=np.float64)
    return np.asarray(array / np.maximum(length(array), 1e-9))


def dot(first: npt.ArrayLike, second: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Inner products of vectors (..., 3), kept as (..., 1)."""
    return np.asarray(np.sum(np.multiply(first, second), axis=-1, keepdims=True), dtype=np.float64)


def apply(turn: Rotation, vector: npt.ArrayLike) -> Vector:
    """Rotations (..., 3, 3) applied to vectors (..., 3)."""
    return np.asarray(np.einsum("...ij,...j->...i", turn, np.asarray(vector, dtype=np.float64)))


def rotation(axis: npt.ArrayLike, degrees: Number) -> Rotation:
    """Rotation about an axis by the right-hand rule (Rodrigues)."""
    axis = unit(axis)
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    angle = np.radians(np.asarray(degrees, dtype=np.float64))[..., None, None]
    return np.asarray(np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * (skew @ skew))


def pitch(degrees: Number) -> Rotation:
    """Bends forward (an upright axis tips towards -y)."""
    return rotation((1, 0, 0), degrees)


def yaw(degrees: Number) -> Rotation:
    """Turns to the person's left."""
    return rotation((0, 0, 1), degrees)


def roll(degrees: Number) -> Rotation:
    """Leans to the person's left."""
    return rotation((0, 1, 0), degrees)


def between(first: npt.ArrayLike, second: npt.ArrayLike) -> Rotation:
    """The smallest rotation that carries one direction to another."""
    axis = cross(first, second)
    sine = length(axis)[..., 0]
    anywhere_across = cross(first, (0.3, 0.5, 0.8))
    axis = np.where(sine[..., None] < 1e-7, anywhere_across, axis)
    return rotation(axis, np.degrees(np.arctan2(sine, dot(first, second)[..., 0])))


def part_way(start: Rotation, end: Rotation, share: float) -> Rotation:
    """The rotation `share` of the way from start to end along the shortest path."""
    delta = end @ np.swapaxes(start, -1, -2)
    trace = np.trace(delta, axis1=-2, axis2=-1)
    angle = np.degrees(np.arccos(np.clip((trace - 1) / 2, -1.0, 1.0)))
    axis = np.stack(
        [delta[..., 2, 1] - delta[..., 1, 2], delta[..., 0, 2] - delta[..., 2, 0], delta[..., 1, 0] - delta[..., 0, 1]],
        axis=-1,
    )
    opposite = (length(axis)[..., 0] < 1e-6) & (angle > 90)
    between_them = rotation(axis, angle * share) @ start
    return np.asarray(np.where(opposite[..., None, None], end if share > 0.5 else start, between_them))


def frame(direction: Vector, hinge: Vector) -> Rotation:
    """Columns: the direction, the hinge axis made square to it, and their cross product."""
    across = unit(hinge - dot(hinge, direction) * direction)
    direction, across = np.broadcast_arrays(direction, across)
    return np.stack([direction, across, cross(direction, across)], axis=-1)


REST_FINGERS: Final = (0.30, -0.72, -0.63)
REST_PALM: Final = (-0.70, 0.25, -0.67)
"""Where the left hand's fingers point and its palm faces in the rest pose."""


def hand_towards(side: Side, fingers: npt.ArrayLike, palm: npt.ArrayLike) -> Rotation:
    """The hand's world rotation when its fingers and palm face these ways."""
    mirror = np.array([sign(side), 1.0, 1.0])
    rest = frame(unit(REST_FINGERS * mirror), np.asarray(REST_PALM * mirror))
    return np.asarray(frame(unit(fingers), np.asarray(palm, dtype=np.float64)) @ rest.T)


@dataclass
class Limb:
    """Two bones and an end: upper arm, forearm, hand; or thigh, shin, foot.

    `hinge` is the elbow's or knee's axis in world axes. `end` is the world rotation from rest of the hand or foot; None
    lets it follow the forearm or shin.
    """

    upper: Vector
    lower: Vector
    hinge: Vector
    end: Rotation | None = None
    toe_bend_degrees: Number = 0.0


@dataclass
class Pose:
    """A whole body: world rotations of pelvis, chest and head, and four limbs."""

    pelvis: Rotation
    chest: Rotation
    head: Rotation
    arms: dict[Side, Limb]
    legs: dict[Side, Limb]
    position: Vector = field(default_factory=lambda: np.zeros(3))
    head_forward_degrees: Number = 0.0
    """The neck tips forward by so much while the head stays upright: the chin pokes out."""
    shrug_degrees: dict[Side, Number] = field(default_factory=dict)
    """Collarbones lifted, per side."""
    rounded_degrees: Number = 0.0
    """Both collarbones turned forward."""


@dataclass(frozen=True)
class Lengths:
    """Rest lengths of one body's limbs, in metres."""

    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    ankle_height: float


def lengths(body: Body) -> Lengths:
    """Measured on the left side of the rest shape; the body is symmetric."""

    def distance(first: str, second: str) -> float:
        return float(np.linalg.norm(body.pivots_S3[SEGMENT_INDEX[first]] - body.pivots_S3[SEGMENT_INDEX[second]]))

    ankle_height = float(body.pivots_S3[SEGMENT_INDEX["foot.L"]][2] - body.vertices_V3[:, 2].min())
    return Lengths(
        distance("upper_arm.L", "forearm.L"),
        distance("forearm.L", "hand.L"),
        distance("thigh.L", "shin.L"),
        distance("shin.L", "foot.L"),
        ankle_height,
    )


def reach(
    start: npt.ArrayLike, target: npt.ArrayLike, upper: float, lower: float, pole: npt.ArrayLike
) -> tuple[Vector, Vector]:
    """Two-bone inverse kinematics: directions of the two bones from `start` to `target`, the joint bending to `pole`.

    A target out of reach is approached as far as the bones go.
    """
    line = np.asarray(np.subtract(target, start), dtype=np.float64)
    distance = length(line)
    distance = np.clip(distance, abs(upper - lower) + 1e-4, upper + lower - 1e-4)
    along = unit(line)
    pole = np.asarray(pole, dtype=np.float64)
    aside = unit(pole - dot(pole, along) * along)
    cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    first = cosine * along + np.sqrt(np.maximum(0.0, 1 - cosine**2)) * aside
    return first, unit((along * distance - first * upper) / lower)


class Skeleton:
    """Forward kinematics of one body."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.lengths = lengths(body)

    def rest(self, segment: str) -> Vector:
        """The segment's pivot in the rest shape."""
        return np.asarray(self.body.pivots_S3[SEGMENT_INDEX[segment]], dtype=np.float64)

    def solve(self, pose: Pose) -> tuple[Array, Array]:
        """World rotations (..., S, 3, 3) and posed pivots (..., S, 3) of all segments."""
        turn = {"pelvis": pose.pelvis}
        turn |= {name: part_way(pose.pelvis, pose.chest, share) for name, share in SPINE_SHARE.items()}
        turn |= {name: part_way(pose.chest, pose.head, share) for name, share in NECK_SHARE.items()}
        for name in ("neck01", "neck02", "neck03"):
            turn[name] = turn[name] @ pitch(pose.head_forward_degrees)
        for side in SIDES:
            turn |= self._arm(pose, side) | self._leg(pose, side)
        position: dict[str, Vector] = {}
        for name, (parent, _) in SEGMENTS.items():
            if parent is None:
                position[name] = self.rest(name) + pose.position
            else:
                position[name] = position[parent] + apply(turn[parent], self.rest(name) - self.rest(parent))
        moments = np.broadcast_shapes(
            *(turned.shape[:-2] for turned in turn.values()), *(at.shape[:-1] for at in position.values())
        )
        rotations = np.stack([np.broadcast_to(turn[name], (*moments, 3, 3)) for name in SEGMENTS], axis=-3)
        positions = np.stack([np.broadcast_to(position[name], (*moments, 3)) for name in SEGMENTS], axis=-2)
        return rotations.astype(np.float32), positions.astype(np.float32)

    def _arm(self, pose: Pose, side: Side) -> dict[str, Rotation]:
        limb = pose.arms[side]
        elbow, wrist = self.rest(f"forearm.{side}"), self.rest(f"hand.{side}")
        upper, lower = unit(elbow - self.rest(f"upper_arm.{side}")), unit(wrist - elbow)
        rest_hinge = unit(cross(upper, lower))
        hanging = np.clip(dot(limb.upper, apply(pose.chest, (0, 0, -1)))[..., 0], -1, 1)
        raised = np.maximum(0.0, np.degrees(np.arccos(hanging)) - 40)
        lifted = roll(-sign(side) * (0.32 * raised + pose.shrug_degrees.get(side, 0.0)))
        clavicle = pose.chest @ yaw(-sign(side) * pose.rounded_degrees) @ lifted
        full = frame(limb.upper, limb.hinge) @ frame(upper, rest_hinge).T
        swing = between(apply(clavicle, upper), limb.upper) @ clavicle
        forearm = frame(limb.lower, limb.hinge) @ frame(lower, rest_hinge).T
        hand = forearm if limb.end is None else limb.end
        return {
            f"clavicle.{side}": clavicle,
            f"upper_arm.{side}": part_way(swing, full, 0.5),
            f"upper_arm_low.{side}": full,
            f"forearm.{side}": forearm,
            f"forearm_low.{side}": part_way(forearm, hand, 0.5),
            f"hand.{side}": hand,
        }

    def _leg(self, pose: Pose, side: Side) -> dict[str, Rotation]:
        limb = pose.legs[side]
        knee, ankle = self.rest(f"shin.{side}"), self.rest(f"foot.{side}")
        upper, lower = unit(knee - self.rest(f"thigh.{side}")), unit(ankle - knee)
        lateral = np.array([1.0, 0.0, 0.0])
        full = frame(limb.upper, limb.hinge) @ frame(upper, lateral).T
        swing = between(apply(pose.pelvis, upper), limb.upper) @ pose.pelvis
        shin = frame(limb.lower, limb.hinge) @ frame(lower, lateral).T
        foot = shin if limb.end is None else limb.end
        return {
            f"thigh.{side}": part_way(swing, full, 0.5),
            f"thigh_low.{side}": full,
            f"shin.{side}": shin,
            f"shin_low.{side}": shin,
            f"foot.{side}": foot,
            f"toes.{side}": foot @ pitch(-np.asarray(limb.toe_bend_degrees)),
        }
