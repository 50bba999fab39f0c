"""Where on a body each vertex lies, the same for every shape: how far along an arm or leg, and where on the head.

Garments, hair and faces are painted by these fields, so that their edges are sharp at any resolution.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import Keypoint
from plumbline_training.render.body import SEGMENT_INDEX, SEGMENTS, BodyModel
from plumbline_training.render.raster import Array, Index

X, Y, Z, ARM, LEG, HEAD_X, HEAD_FRONT, HEAD_UP = range(8)
FIELD_COUNT: Final = 8

TRUNK, HEAD, ARMS, HANDS, LEGS, FEET = range(6)
REGION_OF_SEGMENT: Final[dict[str, int]] = {
    "head": HEAD,
    "neck03": HEAD,
    "neck02": HEAD,
    "upper_arm": ARMS,
    "upper_arm_low": ARMS,
    "forearm": ARMS,
    "forearm_low": ARMS,
    "hand": HANDS,
    "thigh": LEGS,
    "thigh_low": LEGS,
    "shin": LEGS,
    "shin_low": LEGS,
    "foot": FEET,
    "toes": FEET,
}


class Surface:
    """Fields of the canonical body: `fields_VC` to interpolate, `region_V`, and each face's region and segment."""

    def __init__(self, model: BodyModel) -> None:
        names = list(SEGMENTS)
        self.segment_V: Index = model.weights_VS.argmax(axis=1).astype(np.int32)
        region_of = np.array([REGION_OF_SEGMENT.get(name.split(".")[0], TRUNK) for name in names], np.int32)
        self.region_V: Index = region_of[self.segment_V]
        votes_FS = model.weights_VS[model.faces_F3].sum(axis=1)
        self.segment_F: Index = votes_FS.argmax(axis=1).astype(np.int32)
        self.region_F: Index = region_of[self.segment_F]
        self.eyeball_F = model.eyeball_F
        self.eyeball_V: npt.NDArray[np.bool_] = np.zeros(len(self.region_V), bool)
        self.eyeball_V[model.faces_F3[model.eyeball_F].ravel()] = True
        self.fields_VC = self._fields(model)
        edges = np.concatenate([model.faces_F3[:, [0, 1]], model.faces_F3[:, [1, 2]], model.faces_F3[:, [2, 0]]])
        self.edges_E2: Index = np.concatenate([edges, edges[:, ::-1]])
        self.degree_V = np.bincount(self.edges_E2[:, 0], minlength=len(self.region_V)).astype(np.float32)

    def _fields(self, model: BodyModel) -> Array:
        vertices = model.canonical.vertices_V3
        fields = np.zeros((len(vertices), FIELD_COUNT), np.float32)
        fields[:, :3] = vertices
        left = vertices[:, 0] >= 0
        arm_L, arm_R = (self._along(model, ("upper_arm", "forearm", "hand"), side) for side in "LR")
        leg_L, leg_R = (self._along(model, ("thigh", "shin", "foot"), side) for side in "LR")
        in_arm = (self.region_V == ARMS) | (self.region_V == HANDS)
        fields[:, ARM] = np.where(in_arm, np.where(left, arm_L, arm_R), 0.0)
        fields[:, LEG] = np.where(left, leg_L, leg_R)
        points = model.regressor_KV @ vertices
        ears = (points[Keypoint.LEFT_EAR] + points[Keypoint.RIGHT_EAR]) / 2
        scale = float(points[Keypoint.LEFT_EAR][0] - points[Keypoint.RIGHT_EAR][0]) / 2
        head = (vertices - ears) / scale
        fields[:, HEAD_X], fields[:, HEAD_FRONT], fields[:, HEAD_UP] = np.abs(head[:, 0]), -head[:, 1], head[:, 2]
        return fields

    def _along(self, model: BodyModel, chain: tuple[str, str, str], side: str) -> Array:
        """0 at the first joint, 1 at the second, 2 at the third, measured along the rest bones."""
        start, middle, end = (model.canonical.pivots_S3[SEGMENT_INDEX[f"{name}.{side}"]] for name in chain)
        vertices = model.canonical.vertices_V3
        first = (vertices - start) @ (middle - start) / float(np.sum((middle - start) ** 2))
        second = 1 + (vertices - middle) @ (end - middle) / float(np.sum((end - middle) ** 2))
        lower = [index for name, index in SEGMENT_INDEX.items() if name.split(".")[0] in self._below(chain[1])]
        return np.asarray(np.where(np.isin(self.segment_V, lower), second, np.minimum(first, 1.0)), dtype=np.float32)

    @staticmethod
    def _below(segment: str) -> tuple[str, ...]:
        return ("forearm", "forearm_low", "hand") if segment == "forearm" else ("shin", "shin_low", "foot", "toes")

    def smoothed(self, vertices_V3: Array, share_V: Array, rounds: int) -> Array:
        """Laplacian smoothing of the vertices, each by its share in [0, 1]: cloth bridges the hollows of a body."""
        result = vertices_V3.astype(np.float32)
        moving = np.flatnonzero(share_V > 0)
        place_V = np.full(len(result), -1)
        place_V[moving] = np.arange(len(moving))
        edges_E2 = self.edges_E2[share_V[self.edges_E2[:, 0]] > 0]
        heads, tails = place_V[edges_E2[:, 0]], edges_E2[:, 1]
        degree, share = self.degree_V[moving, None], share_V[moving, None]
        for _ in range(rounds):
            sums = [np.bincount(heads, result[tails, axis], minlength=len(moving)) for axis in range(3)]
            mean = np.stack(sums, axis=1) / degree
            result[moving] += (share * (mean - result[moving])).astype(np.float32)
        return result
