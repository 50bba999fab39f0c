"""A person of sticks who does any of the exercises in front of a camera; it knows bodies and cameras and no rules.

Metres: x to the person's left, y up, z forwards. Angles of segments in degrees from upright: 0 up, 90 forwards (or, of
spread arms, outwards), 180 down. A movement goes from its rest to its full angles and back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import Keypoint

Array = npt.NDArray[np.float64]

LENGTHS: Final = {"shin": 0.42, "thigh": 0.43, "trunk": 0.50, "head": 0.24, "upper_arm": 0.30, "forearm": 0.26}
SHOULDER, HIP, EAR, EYE = 0.19, 0.10, 0.075, 0.03
YAW: Final = {"front": 0.0, "three_quarter": 50.0, "side": 90.0}

Angles = Mapping[str, float]
STAND: Final[Angles] = {
    "trunk": 2, "head": 8, "thigh": 180, "shin": 180, "upper_arm": 180, "forearm": 175, "spread": 0, "shrug": 0,
    "roll": 0, "flare": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """What changes between rest and full; `left_` or `right_` before a name changes one side alone."""

    rest: Angles
    full: Angles
    arms_sideways: bool = False

    def at(self, share: float) -> dict[str, float]:
        """The angles a share of the way to full."""
        rest, full = {**STAND, **self.rest}, {**STAND, **self.rest, **self.full}
        return {name: rest.get(name, full[name]) * (1 - share) + full[name] * share for name in full}

    def wrong(self, rest: Angles | None = None, **full: float) -> Motion:
        """The same motion with a fault."""
        return replace(self, rest={**self.rest, **(rest or {})}, full={**self.full, **full})


PRONE: Final[Angles] = {"trunk": 72, "head": 76, "thigh": 252, "shin": 252}
MOTIONS: Final = {
    "push_up": Motion(
        {**PRONE, "forearm": 180},
        {"trunk": 86, "head": 88, "thigh": 266, "shin": 266, "upper_arm": 262, "forearm": 168},
    ),
    "lunge": Motion(
        {"left_thigh": 162, "left_shin": 172, "right_thigh": 200, "right_shin": 205},
        {"left_thigh": 92, "left_shin": 178, "right_thigh": 186, "right_shin": 268, "trunk": 8},
    ),
    "bicep_curl": Motion({}, {"forearm": 45}),
    "shoulder_press": Motion({"upper_arm": 135, "forearm": 8}, {"upper_arm": 12, "forearm": 2}, arms_sideways=True),
    "front_raise": Motion({}, {"upper_arm": 90, "forearm": 88}),
    "shoulder_shrug": Motion({}, {"shrug": 0.075}),
    "jumping_jack": Motion(
        {"upper_arm": 168, "forearm": 172}, {"upper_arm": 22, "forearm": 14, "spread": 22}, arms_sideways=True
    ),
    "glute_bridge": Motion(
        {"trunk": 270, "head": 270, "thigh": 38, "shin": 172, "upper_arm": 92, "forearm": 90},
        {"trunk": 245, "head": 262, "thigh": 63, "shin": 180},
    ),
    "plank": Motion(
        {**PRONE, "trunk": 80, "head": 84, "thigh": 260, "shin": 260, "upper_arm": 180, "forearm": 100}, {}
    ),
    "sitting": Motion({"thigh": 90, "shin": 180, "upper_arm": 165, "forearm": 95, "head": 12}, {}),
}


def skeleton(angles: Angles, arms_sideways: bool) -> Array:
    """Keypoints (17, 3) in metres."""
    points = np.zeros((17, 3))
    trunk, head = _forwards(angles["trunk"]), _forwards(angles["head"])
    roll = math.radians(angles["roll"])
    neck = LENGTHS["trunk"] * trunk
    skull = neck + LENGTHS["head"] * head
    face = np.cross(np.array([1.0, 0.0, 0.0]), head)
    for name, place in (("nose", skull + 0.09 * face), ("eye", skull + 0.07 * face + 0.04 * head), ("ear", skull)):
        _set(points, name, place, {"nose": 0.0, "eye": EYE, "ear": EAR}[name])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        across = sign * np.array([math.cos(roll), math.sin(roll), 0.0])
        shoulder = neck + SHOULDER * across + angles["shrug"] * trunk
        flare = math.radians(angles["flare"])
        along = _arm(_of(angles, side, "upper_arm"), arms_sideways, sign)
        elbow = shoulder + LENGTHS["upper_arm"] * (
            math.cos(flare) * along + np.array([sign * math.sin(flare), 0.0, 0.0])
        )
        wrist = elbow + LENGTHS["forearm"] * _arm(_of(angles, side, "forearm"), arms_sideways, sign)
        hip = np.array([HIP * sign, 0.0, 0.0])
        spread = np.array([sign * math.sin(math.radians(angles["spread"])), 0.0, 0.0])
        knee = hip + LENGTHS["thigh"] * (_forwards(_of(angles, side, "thigh")) + spread)
        ankle = knee + LENGTHS["shin"] * (_forwards(_of(angles, side, "shin")) + spread)
        for joint, place in zip(
            ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
            (shoulder, elbow, wrist, hip, knee, ankle),
            strict=True,
        ):
            points[Keypoint[f"{side}_{joint}".upper()]] = place
    return np.asarray(points - np.array([0.0, points[:, 1].min(), 0.0]))


@dataclass(frozen=True)
class Filmed:
    """Keypoints (T, 17, 3) in pixels at a rate."""

    keypoints_TK3: Array
    rate_hz: float

    def noisy(self, seed: int, jitter_px: float = 2.0, dropout: float = 0.03) -> Filmed:
        """With Gaussian jitter and joints unseen now and then."""
        rng = np.random.default_rng(seed)
        keypoints = self.keypoints_TK3.copy()
        keypoints[..., :2] += rng.normal(0, jitter_px, keypoints[..., :2].shape)
        keypoints[..., 2][rng.random(keypoints.shape[:2]) < dropout] = 0.0
        return replace(self, keypoints_TK3=keypoints)


@dataclass(frozen=True)
class Camera:
    """A level camera on a stand; yaw 0 sees the front, 90 the left side."""

    yaw_degrees: float
    distance: float = 4.0
    height: float = 0.9
    focal_px: float = 900.0


@dataclass(frozen=True)
class Set:
    """So many repetitions, each of these seconds with a rest after it."""

    motion: Motion
    repetitions: int = 3
    seconds: float = 2.2
    rest_seconds: float = 1.0
    depths: tuple[float, ...] = field(default=())

    def share(self, seconds: float) -> float:
        """How far the movement is at a time."""
        since = seconds - 1.5
        number, within = divmod(since, self.seconds + self.rest_seconds)
        if since < 0 or number >= self.repetitions or within > self.seconds:
            return 0.0
        depth = self.depths[int(number)] if self.depths else 1.0
        return depth * math.sin(math.pi * within / self.seconds) ** 2


def film(what: Set, view: str = "side", rate_hz: float = 30.0, camera: Camera | None = None) -> Filmed:
    """A clip of a set, from before its first repetition to after its last."""
    camera = camera or Camera(YAW[view])
    length = 1.5 + what.repetitions * (what.seconds + what.rest_seconds) + 1.0
    shares = [what.share(frame / rate_hz) for frame in range(int(length * rate_hz))]
    poses = [project(skeleton(what.motion.at(share), what.motion.arms_sideways), camera) for share in shares]
    return Filmed(np.stack(poses), rate_hz)


def project(points: Array, camera: Camera) -> Array:
    """Keypoints (17, 3) in pixels; those on the far side score lower."""
    yaw = math.radians(camera.yaw_degrees)
    centred = points - np.array([0.0, 0.0, points[:, 2].mean()])
    right = centred[:, 0] * math.cos(yaw) - centred[:, 2] * math.sin(yaw)
    away = camera.distance - centred[:, 0] * math.sin(yaw) - centred[:, 2] * math.cos(yaw)
    x = 640 + camera.focal_px * right / away
    y = 360 - camera.focal_px * (centred[:, 1] - camera.height) / away
    return np.stack([x, y, np.clip(0.9 - 0.8 * (away - away.min()) * abs(math.sin(yaw)), 0.3, 0.9)], axis=1)


def _forwards(degrees: float) -> Array:
    return np.array([0.0, math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def _arm(degrees: float, sideways: bool, sign: float) -> Array:
    along = _forwards(degrees)
    return np.array([sign * float(along[2]), float(along[1]), 0.0]) if sideways else along


def _of(angles: Angles, side: str, name: str) -> float:
    return angles.get(f"{side}_{name}", angles[name])


def _set(points: Array, name: str, place: Array, half_width: float) -> None:
    if not half_width:
        points[Keypoint[name.upper()]] = place
        return
    for side, sign in (("LEFT", 1.0), ("RIGHT", -1.0)):
        points[Keypoint[f"{side}_{name.upper()}"]] = place + np.array([sign * half_width, 0.0, 0.0])
