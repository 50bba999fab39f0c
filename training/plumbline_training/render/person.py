"""A posed, dressed person in the world, the keypoints they show, and which of those a camera can see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS
from plumbline_training.render.body import SEGMENT_INDEX, Array, BodyModel
from plumbline_training.render.camera import Camera
from plumbline_training.render.dress import Dresser
from plumbline_training.render.look import Look
from plumbline_training.render.pose import Pose, Skeleton
from plumbline_training.render.raster import Fragments, vertex_normals
from plumbline_training.render.surface import Surface

OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2
"""COCO's visibility flags as used here: out of the picture, hidden by the body, seen."""

_TORSO: Final = ("pelvis", "spine05", "spine04", "spine03", "spine02", "chest", "clavicle")
_OWN_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "nose": ("head", "neck03"),
    "eye": ("head",),
    "ear": ("head", "neck03"),
    "shoulder": ("chest", "spine02", "clavicle", "upper_arm", "neck01"),
    "elbow": ("upper_arm", "upper_arm_low", "forearm", "forearm_low"),
    "wrist": ("forearm", "forearm_low", "hand"),
    "hip": (*_TORSO, "thigh", "thigh_low"),
    "knee": ("thigh", "thigh_low", "shin", "shin_low"),
    "ankle": ("shin", "shin_low", "foot"),
}
_REACH_METRES: Final[dict[str, float]] = {
    "nose": 0.035,
    "eye": 0.03,
    "ear": 0.055,
    "shoulder": 0.13,
    "elbow": 0.08,
    "wrist": 0.07,
    "hip": 0.19,
    "knee": 0.11,
    "ankle": 0.09,
}
"""How far in front of a joint's centre its own surface may lie."""


@dataclass(frozen=True)
class Person:
    """A mesh in world axes with the fields that paint it."""

    vertices_V3: Array
    normals_V3: Array
    keypoints_K3: Array
    look: Look


class Studio:
    """The body model with what is derived from it once: makes persons, paints them, and says which keypoints show."""

    def __init__(self) -> None:
        self.model = BodyModel()
        self.surface = Surface(self.model)
        self.dresser = Dresser(self.model, self.surface)
        self.own_KS = self._own_segments()
        self.reach_K = np.array([_REACH_METRES[name.split("_")[-1]] for name in KEYPOINT_NAMES])

    def _own_segments(self) -> npt.NDArray[np.bool_]:
        own_KS = np.zeros((NUM_KEYPOINTS, len(SEGMENT_INDEX)), bool)
        for keypoint, name in enumerate(KEYPOINT_NAMES):
            side, joint = ("", name) if "_" not in name else (name[0].upper(), name.split("_")[1])
            for segment, index in SEGMENT_INDEX.items():
                part, _, segment_side = segment.partition(".")
                own_KS[keypoint, index] = part in _OWN_PARTS[joint] and segment_side in ("", side)
        return own_KS

    def wardrobe(self, look: Look) -> Wardrobe:
        """One person's body, measured and dressed once, to be posed many times."""
        return Wardrobe(self, look)

    def visibility(self, person: Person, camera: Camera, seen: Fragments) -> npt.NDArray[np.int32]:
        """COCO visibility (K,) from what the camera sees at each keypoint's pixel; `seen` is drawn by this camera."""
        pixels_K3 = camera.project(person.keypoints_K3)
        flags = np.full(NUM_KEYPOINTS, OUTSIDE, np.int32)
        for keypoint, (x, y, depth) in enumerate(pixels_K3):
            column, row = round(float(x)), round(float(y))
            if depth < 0.05 or not (0 <= column < camera.width and 0 <= row < camera.height):
                continue
            face = int(seen.face_HW[row, column])
            flags[keypoint] = VISIBLE
            if face >= 0:
                own = self.own_KS[keypoint, self.surface.segment_F[face]]
                near = depth - seen.depth_HW[row, column] < self.reach_K[keypoint]
                flags[keypoint] = VISIBLE if own and near else OCCLUDED
        return flags


class Wardrobe:
    """One dressed body."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._model = studio.model
        self.look = look
        self.body = studio.model.shape(look.phenotype)
        self.skeleton = Skeleton(self.body)
        self._dressed_V3 = studio.dresser.shaped(look, self.body)

    def pose(self, pose: Pose, grounded: bool = True) -> Person:
        """The person in a pose; `grounded` moves them so that the lowest point touches the floor (z = 0)."""
        rotations_S33, positions_S3 = self.skeleton.solve(pose)
        vertices = self._model.skin(self._dressed_V3, self.body, rotations_S33, positions_S3)
        skin = self._model.skin(self.body.vertices_V3, self.body, rotations_S33, positions_S3)
        keypoints = self._model.regressor_KV @ skin
        if grounded:
            lift = np.array([0, 0, -float(vertices[:, 2].min())], np.float32)
            vertices, keypoints = vertices + lift, keypoints + lift
        return Person(vertices, vertex_normals(vertices, self._model.faces_F3), keypoints, self.look)


def turned(person: Person, degrees: float, shift_xy: tuple[float, float] = (0.0, 0.0)) -> Person:
    """The person turned to their left about the vertical through the origin, then moved on the floor."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]], np.float32)
    move = np.array([*shift_xy, 0.0], np.float32)
    return Person(
        person.vertices_V3 @ turn.T + move,
        person.normals_V3 @ turn.T,
        person.keypoints_K3 @ turn.T + move,
        person.look,
    )


def covered_box(seen: Fragments, pixels_per_pixel: int = 1) -> tuple[tuple[float, float, float, float], float]:
    """COCO's left, top, width, height, and area of what is covered, in pixels that hold so many of `seen` a side."""
    rows, columns = np.nonzero(seen.face_HW >= 0)
    if len(rows) == 0:
        return (0.0, 0.0, 0.0, 0.0), 0.0
    left, top = int(columns.min()), int(rows.min())
    width, height = int(columns.max()) - left + 1, int(rows.max()) - top + 1
    scale = 1.0 / pixels_per_pixel
    return (left * scale, top * scale, width * scale, height * scale), len(rows) * scale**2
