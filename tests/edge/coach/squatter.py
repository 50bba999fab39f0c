"""A person of sticks who squats in front of a camera, for the coach's tests: any view, depth, tempo, fault and noise.

Metres in the world: x to the person's left, y up, z to where the person looks. Perspective camera on a stand, level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import MIRROR, Keypoint

Keypoints = npt.NDArray[np.float64]

SHIN, THIGH, TORSO = 0.42, 0.43, 0.50
YAW = {"front": 0.0, "three_quarter": 50.0, "side": 88.0}


@dataclass(frozen=True)
class Squat:
    """One squat: how far the thighs turn from upright, how long it takes, and what is wrong with it."""

    thigh_degrees: float = 95.0
    seconds: float = 2.4
    trunk_degrees: float = 35.0
    """How far the back leans at the lowest point."""
    knees_over_ankles: float = 1.1
    """Distance of the knees over that of the ankles at the lowest point."""


@dataclass(frozen=True)
class Camera:
    """Where the camera stands: `yaw_degrees` 0 sees the front, 90 the person's left side."""

    yaw_degrees: float = 0.0
    distance: float = 4.0
    height: float = 1.0
    focal_px: float = 900.0


@dataclass(frozen=True)
class Clip:
    """Keypoints (T, 17, 3) in pixels with their times."""

    times_seconds_T: npt.NDArray[np.float64]
    keypoints_TK3: Keypoints

    def noisy(self, seed: int, jitter: float = 0.0, dropout: float = 0.0, swaps: float = 0.0) -> Clip:
        """With Gaussian jitter in torso lengths, joints unseen, and frames with left and right exchanged."""
        rng = np.random.default_rng(seed)
        keypoints = self.keypoints_TK3.copy()
        torso_px = float(np.median(keypoints[:, Keypoint.LEFT_HIP, 1] - keypoints[:, Keypoint.LEFT_SHOULDER, 1]))
        keypoints[..., :2] += rng.normal(0, jitter * torso_px, keypoints[..., :2].shape)
        keypoints[..., 2][rng.random(keypoints.shape[:2]) < dropout] = 0.0
        swapped = rng.random(len(keypoints)) < swaps
        keypoints[swapped] = keypoints[swapped][:, list(MIRROR)]
        return replace(self, keypoints_TK3=keypoints)


def film(squats: Sequence[Squat], view: str = "front", rate_hz: float = 30.0, camera: Camera | None = None) -> Clip:
    """A clip of somebody who stands, squats with a second of standing after each, and stands."""
    camera = camera or Camera(YAW[view])
    poses, times = [], []
    for number in range(int(rate_hz * (2.0 + sum(squat.seconds + 1.0 for squat in squats)))):
        time = number / rate_hz
        times.append(time)
        poses.append(project(body(*moment(squats, time)), camera))
    return Clip(np.array(times), np.stack(poses))


def moment(squats: Sequence[Squat], time: float) -> tuple[Squat, float]:
    """The squat under way at a time, and how far it is: 0 standing, 1 at its lowest."""
    begins = 1.5
    for squat in squats:
        if begins <= time < begins + squat.seconds:
            return squat, math.sin(math.pi * (time - begins) / squat.seconds) ** 2
        begins += squat.seconds + 1.0
    return squats[0] if squats else Squat(), 0.0


def body(squat: Squat, share: float) -> npt.NDArray[np.float64]:
    """Keypoints (17, 3) in metres at a share of the way down."""
    thigh = math.radians(squat.thigh_degrees * share)
    shin, trunk = 0.33 * thigh, math.radians(squat.trunk_degrees * share)
    knee_width = 0.2 * (1 + (squat.knees_over_ankles - 1) * share)
    knee = np.array([0.0, 0.08 + SHIN * math.cos(shin), SHIN * math.sin(shin)])
    hip = knee + np.array([0.0, THIGH * math.cos(thigh), -THIGH * math.sin(thigh)])
    along_trunk = np.array([0.0, math.cos(trunk), math.sin(trunk)])
    shoulder = hip + TORSO * along_trunk
    nose = shoulder + 0.22 * along_trunk + np.array([0.0, 0.0, 0.1])
    forward = np.array([0.0, -0.3, 1.0]) / math.hypot(0.3, 1.0)
    ear = nose + np.array([0.0, 0.02, -0.1])
    centre = {
        "eye": (nose + np.array([0.0, 0.04, -0.02]), 0.03),
        "ear": (ear, 0.075),
        "shoulder": (shoulder, 0.19),
        "elbow": (shoulder + 0.28 * forward, 0.19),
        "wrist": (shoulder + 0.53 * forward, 0.15),
        "hip": (hip, 0.10),
        "knee": (knee, knee_width),
        "ankle": (np.array([0.0, 0.08, 0.0]), 0.2),
    }
    points_K3 = np.zeros((17, 3))
    points_K3[Keypoint.NOSE] = nose
    for joint, (middle, half_width) in centre.items():
        points_K3[Keypoint[f"LEFT_{joint.upper()}"]] = middle + np.array([half_width, 0.0, 0.0])
        points_K3[Keypoint[f"RIGHT_{joint.upper()}"]] = middle - np.array([half_width, 0.0, 0.0])
    return points_K3


def project(points_K3: npt.NDArray[np.float64], camera: Camera) -> Keypoints:
    """World points as keypoints (17, 3) in pixels of a 1280x720 picture; the far side of a side view scores lower."""
    yaw = math.radians(camera.yaw_degrees)
    right = points_K3[:, 0] * math.cos(yaw) - points_K3[:, 2] * math.sin(yaw)
    away = camera.distance - points_K3[:, 0] * math.sin(yaw) - points_K3[:, 2] * math.cos(yaw)
    x = 640 + camera.focal_px * right / away
    y = 360 - camera.focal_px * (points_K3[:, 1] - camera.height) / away
    score = np.clip(0.9 - 1.0 * (away - away.min()) * abs(math.sin(yaw)), 0.3, 0.9)
    return np.stack([x, y, score], axis=1)
