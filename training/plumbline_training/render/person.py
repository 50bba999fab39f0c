"""A posed, dressed person in the world, the keypoints they show, and which of those a camera can see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS, Keypoint
from plumbline_training.render.body import SEGMENT_INDEX, BodyModel
from plumbline_training.render.camera import Camera
from plumbline_training.render.dress import Dresser
from plumbline_training.render.look import Look
from plumbline_training.render.pose import Pose, Skeleton
from plumbline_training.render.props import Mesh, Placed, skirt, tied_hair
from plumbline_training.render.raster import Array, Fragments, vertex_normals
from plumbline_training.render.surface import Surface

PropMaker = Callable[[Placed], Sequence[Mesh]]
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
    worn: tuple[Mesh, ...] = ()
    """What they wear that stands off the body: a skirt, tied hair."""
    things: tuple[Mesh, ...] = ()
    """What they hold or sit on."""


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

    def visibility(
        self, person: Person, camera: Camera, seen: Fragments, offset_xy: tuple[int, int] = (0, 0)
    ) -> npt.NDArray[np.int32]:
        """COCO visibility (K,) from what the camera sees at each keypoint's pixel.

        `seen` is drawn by this camera, or is a part of its picture that begins at `offset_xy`.
        """
        rows, columns = seen.face_HW.shape
        pixels_K3 = camera.project(person.keypoints_K3)
        flags = np.full(NUM_KEYPOINTS, OUTSIDE, np.int32)
        for keypoint, (x, y, depth) in enumerate(pixels_K3):
            column, row = round(float(x)), round(float(y))
            if depth < 0.05 or not (0 <= column < camera.width and 0 <= row < camera.height):
                continue
            flags[keypoint] = VISIBLE
            row, column = row - offset_xy[1], column - offset_xy[0]
            face = int(seen.face_HW[row, column]) if 0 <= row < rows and 0 <= column < columns else -1
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
        ears = studio.model.regressor_KV[[Keypoint.LEFT_EAR, Keypoint.RIGHT_EAR]] @ self.body.vertices_V3
        self.head_size = float(np.linalg.norm(ears[0] - ears[1])) / 2

    def pose(self, pose: Pose, grounded: bool = True, props: PropMaker | None = None) -> Person:
        """The person in a pose; `grounded` moves them so that the lowest point touches the floor (z = 0)."""
        return self.placed(*self.skeleton.solve(pose), grounded=grounded, props=props)

    def placed(
        self, rotations_S33: Array, positions_S3: Array, grounded: bool = True, props: PropMaker | None = None
    ) -> Person:
        """The person with segments turned and placed so; `props` makes what they hold."""
        vertices = self._model.skin(self._dressed_V3, self.body, rotations_S33, positions_S3)
        keypoints = self._keypoints(rotations_S33, positions_S3)
        lift = np.array([0, 0, -float(vertices[:, 2].min()) if grounded else 0.0], np.float32)
        placed = Placed(rotations_S33, positions_S3 + lift)
        return Person(
            vertices + lift,
            vertex_normals(vertices, self._model.faces_F3),
            keypoints + lift,
            self.look,
            self._worn(placed),
            tuple(props(placed)) if props is not None else (),
        )

    def _keypoints(self, rotations_S33: Array, positions_S3: Array) -> Array:
        """Regressed from the few vertices of the naked body that the keypoints depend on."""
        used = self._model.keypoint_vertices
        skin = self._model.skin(self.body.vertices_V3, self.body, rotations_S33, positions_S3, used)
        return np.asarray(self._model.regressor_KV[:, used] @ skin, dtype=np.float32)

    def _worn(self, placed: Placed) -> tuple[Mesh, ...]:
        worn = []
        if self.look.skirt is not None:
            length, flare = self.look.skirt
            worn.append(skirt(placed, self.skeleton.lengths, self.look.trousers.colour, length, flare))
        if self.look.tail > 0:
            worn.append(tied_hair(placed, self.look.hair, self.look.tail, self.head_size))
        return tuple(worn)


def turned(person: Person, degrees: float, shift_xy: tuple[float, float] = (0.0, 0.0)) -> Person:
    """The person turned to their left about the vertical through the origin, then moved on the floor."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]], np.float32)
    move = np.array([*shift_xy, 0.0], np.float32)

    def moved(mesh: Mesh) -> Mesh:
        return replace(mesh, vertices_V3=mesh.vertices_V3 @ turn.T + move)

    return Person(
        person.vertices_V3 @ turn.T + move,
        person.normals_V3 @ turn.T,
        person.keypoints_K3 @ turn.T + move,
        person.look,
        tuple(moved(mesh) for mesh in person.worn),
        tuple(moved(mesh) for mesh in person.things),
    )
