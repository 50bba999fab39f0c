"""The parametric human body: shapes from the `anny` package, skinned here by one rotation per segment in world axes.

Axes: x to the person's left, y backwards (the rest pose faces -y), z up; metres. V vertices, F faces, S segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import KEYPOINT_NAMES
from plumbline_training.render.raster import Array, Index, skinned

_CENTRE: Final[dict[str, tuple[str | None, str]]] = {
    "pelvis": (None, "root"),
    "spine05": ("pelvis", "spine05"),
    "spine04": ("spine05", "spine04"),
    "spine03": ("spine04", "spine03"),
    "spine02": ("spine03", "spine02"),
    "chest": ("spine02", "spine01"),
    "neck01": ("chest", "neck01"),
    "neck02": ("neck01", "neck02"),
    "neck03": ("neck02", "neck03"),
    "head": ("neck03", "head"),
}
_SIDE: Final[dict[str, tuple[str, str]]] = {
    "clavicle": ("chest", "clavicle"),
    "upper_arm": ("clavicle", "upperarm01"),
    "upper_arm_low": ("upper_arm", "upperarm02"),
    "forearm": ("upper_arm_low", "lowerarm01"),
    "forearm_low": ("forearm", "lowerarm02"),
    "hand": ("forearm_low", "wrist"),
    "thigh": ("pelvis", "upperleg01"),
    "thigh_low": ("thigh", "upperleg02"),
    "shin": ("thigh_low", "lowerleg01"),
    "shin_low": ("shin", "lowerleg02"),
    "foot": ("shin_low", "foot"),
    "toes": ("foot", "toe2-1"),
}


def _segment_table() -> dict[str, tuple[str | None, str]]:
    table = dict(_CENTRE)
    for side in ("L", "R"):
        for name, (parent, bone) in _SIDE.items():
            table[f"{name}.{side}"] = (parent if parent in _CENTRE else f"{parent}.{side}", f"{bone}.{side}")
    return table


SEGMENTS: Final[dict[str, tuple[str | None, str]]] = _segment_table()
"""Segment -> (parent segment, the bone of the body model whose head is its pivot); parents come first."""

SEGMENT_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(SEGMENTS)}


@dataclass(frozen=True)
class Phenotype:
    """What shapes a body; each number in [0, 1], the three origins are relative weights."""

    gender: float = 0.5
    age: float = 0.66
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.6
    african: float = 0.33
    asian: float = 0.33
    caucasian: float = 0.33
    cupsize: float = 0.5
    firmness: float = 0.5


@dataclass(frozen=True)
class Body:
    """One person's rest shape: vertices and the pivot of each segment."""

    vertices_V3: Array
    pivots_S3: Array


class BodyModel:
    """The mesh, its skinning weights and its keypoint regressor; makes a Body from a Phenotype."""

    def __init__(self) -> None:
        """Loads the body model: about a minute the first time on a machine, seconds afterwards (it keeps a cache)."""
        import anny

        self._model: Any = anny.Anny(skinning_method="lbs", phenotypes="all")
        regressor = anny.KeypointsRegressor.coco(self._model, labels=list(KEYPOINT_NAMES))
        self.regressor_KV: Array = regressor.regression_weights.numpy().astype(np.float32)
        self.keypoint_vertices: Index = np.flatnonzero((self.regressor_KV != 0).any(axis=0)).astype(np.int32)
        self.faces_F3: Index = self._model.get_triangular_faces().numpy().astype(np.int32)
        self.weights_VS: Array = self._segment_weights()
        self._segments_VN, self._shares_VN = self._few_weights()
        self.canonical: Body = self.shape(Phenotype())
        self.eyeball_F: npt.NDArray[np.bool_] = self._eyeball_faces()

    def _segment_weights(self) -> Array:
        labels: list[str] = list(self._model.bone_labels)
        parents: list[int] = list(self._model.bone_parents)
        segment_of_bone: dict[str, int] = {bone: SEGMENT_INDEX[name] for name, (_, bone) in SEGMENTS.items()}
        for side in ("L", "R"):
            segment_of_bone |= {
                bone: SEGMENT_INDEX[f"toes.{side}"] for bone in labels if bone.startswith("toe") and bone.endswith(side)
            }
        for bone, parent in zip(labels, parents, strict=True):
            if bone not in segment_of_bone:
                segment_of_bone[bone] = segment_of_bone[labels[parent]]
        bone_weights_VB = self._model.dense_vertex_bone_weights.numpy()
        weights_VS = np.zeros((len(bone_weights_VB), len(SEGMENTS)), np.float32)
        for column, bone in enumerate(labels):
            weights_VS[:, segment_of_bone[bone]] += bone_weights_VB[:, column]
        return weights_VS

    def _eyeball_faces(self) -> npt.NDArray[np.bool_]:
        from anny.face_segmentation import get_face_segmentation_mask

        mask = get_face_segmentation_mask(self._model, ["eye_front.L", "eye_front.R", "eye_back.L", "eye_back.R"])
        return np.asarray(mask.numpy(), dtype=bool)

    def shape(self, phenotype: Phenotype) -> Body:
        """The rest shape of this phenotype, as tall as the model makes it."""
        import torch

        with torch.no_grad():
            coefficients = self._model.get_phenotype_blendshape_coefficients(**vars(phenotype))
            vertices_V3 = self._model.get_rest_vertices(coefficients)[0].numpy().astype(np.float32)
            heads = self._model.template_bone_heads + torch.einsum(
                "a,abc->bc", coefficients[0], self._model.bone_heads_blendshapes
            )
        labels: list[str] = list(self._model.bone_labels)
        pivots_S3 = np.stack([heads[labels.index(bone)].numpy() for _, bone in SEGMENTS.values()]).astype(np.float32)
        for side in ("L", "R"):
            hip = self.regressor_KV[KEYPOINT_NAMES.index("left_hip" if side == "L" else "right_hip")] @ vertices_V3
            pivots_S3[SEGMENT_INDEX[f"thigh.{side}"]] = hip
        return Body(vertices_V3, pivots_S3)

    def skin(
        self, vertices_V3: Array, body: Body, rotations_S33: Array, positions_S3: Array, only: Index | None = None
    ) -> Array:
        """Linear blend skinning of rest vertices by each segment's world rotation and posed pivot; `only` of some."""
        which = slice(None) if only is None else only
        offsets_S3 = positions_S3 - np.einsum("sij,sj->si", rotations_S33, body.pivots_S3)
        affine_S12 = np.concatenate([rotations_S33, offsets_S3[:, :, None]], axis=2).reshape(len(SEGMENTS), 12)
        affine_S12 = affine_S12.astype(np.float32)
        return skinned(vertices_V3[which], self._segments_VN[which], self._shares_VN[which], affine_S12)

    def _few_weights(self) -> tuple[Index, Array]:
        """The segments that move each vertex and their weights, padded with zeros to the most that any vertex has."""
        most = int((self.weights_VS > 0).sum(axis=1).max())
        segments_VN = np.argsort(-self.weights_VS, axis=1, kind="stable")[:, :most].astype(np.int32)
        return segments_VN, np.take_along_axis(self.weights_VS, segments_VN.astype(np.int64), axis=1)
