"""A z-buffer rasteriser for triangles, compiled for the CPU: what each pixel sees, to be shaded afterwards.

H, W picture; V vertices; F triangles. Pixel centres are at integers, as everywhere in the project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Index = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Fragments:
    """What the camera sees: per pixel the nearest triangle (-1 for none), weights of its corners and the depth."""

    face_HW: Index
    weights_HW3: Array
    depth_HW: Array

    def interpolate(self, faces_F3: Index, values_VC: Array) -> Array:
        """Vertex values at the covered pixels (row-major order), (N, C)."""
        rows, columns = np.nonzero(self.face_HW >= 0)
        blended = np.zeros((len(rows), values_VC.shape[1]), np.float32)
        _blend(rows, columns, self.face_HW, self.weights_HW3, faces_F3, values_VC.astype(np.float32), blended)
        return blended


@numba.njit(cache=True)
def _blend(rows: Any, columns: Any, face_HW: Any, weights_HW3: Any, faces_F3: Any, values_VC: Any, out: Any) -> None:
    for pixel in range(len(rows)):
        row, column = rows[pixel], columns[pixel]
        face = face_HW[row, column]
        for corner in range(3):
            weight, vertex = weights_HW3[row, column, corner], faces_F3[face, corner]
            for channel in range(values_VC.shape[1]):
                out[pixel, channel] += weight * values_VC[vertex, channel]


@numba.njit(cache=True)
def _fill(pixels_V3: Any, faces_F3: Any, face_HW: Any, weights_HW3: Any, inverse_HW: Any, near: float) -> None:
    height, width = face_HW.shape
    for face in range(faces_F3.shape[0]):
        a, b, c = faces_F3[face, 0], faces_F3[face, 1], faces_F3[face, 2]
        ax, ay, az = pixels_V3[a, 0], pixels_V3[a, 1], pixels_V3[a, 2]
        bx, by, bz = pixels_V3[b, 0], pixels_V3[b, 1], pixels_V3[b, 2]
        cx, cy, cz = pixels_V3[c, 0], pixels_V3[c, 1], pixels_V3[c, 2]
        if min(az, bz, cz) < near:
            continue
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-9:
            continue
        left, right = max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(np.floor(max(ax, bx, cx))))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy)))), min(height - 1, int(np.floor(max(ay, by, cy))))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                wa = ((bx - x) * (cy - y) - (cx - x) * (by - y)) / area
                wb = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) / area
                wc = 1.0 - wa - wb
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                inverse = wa / az + wb / bz + wc / cz
                if inverse > inverse_HW[y, x]:
                    inverse_HW[y, x] = inverse
                    face_HW[y, x] = face
                    weights_HW3[y, x, 0] = wa / az / inverse
                    weights_HW3[y, x, 1] = wb / bz / inverse
                    weights_HW3[y, x, 2] = wc / cz / inverse


def rasterise(pixels_V3: Array, faces_F3: Index, height: int, width: int, near: float = 0.05) -> Fragments:
    """Draws triangles given as pixel x, y and depth; perspective-correct. Triangles nearer than `near` are dropped."""
    face_HW = np.full((height, width), -1, np.int32)
    weights_HW3 = np.zeros((height, width, 3), np.float32)
    inverse_HW: npt.NDArray[np.float64] = np.zeros((height, width), np.float64)
    _fill(pixels_V3.astype(np.float64), faces_F3, face_HW, weights_HW3, inverse_HW, near)
    with np.errstate(divide="ignore"):
        depth_HW = (1.0 / inverse_HW).astype(np.float32)
    return Fragments(face_HW, weights_HW3, depth_HW)


def vertex_normals(vertices_V3: Array, faces_F3: Index) -> Array:
    """Area-weighted unit normals, outward for counter-clockwise triangles."""
    normals_V3 = np.zeros(vertices_V3.shape, np.float32)
    _normals(vertices_V3.astype(np.float32), faces_F3, normals_V3)
    return normals_V3


@numba.njit(cache=True)
def _normals(vertices_V3: Any, faces_F3: Any, out_V3: Any) -> None:
    for face in range(faces_F3.shape[0]):
        a, b, c = faces_F3[face, 0], faces_F3[face, 1], faces_F3[face, 2]
        ux, uy, uz = (
            vertices_V3[b, 0] - vertices_V3[a, 0],
            vertices_V3[b, 1] - vertices_V3[a, 1],
            vertices_V3[b, 2] - vertices_V3[a, 2],
        )
        vx, vy, vz = (
            vertices_V3[c, 0] - vertices_V3[a, 0],
            vertices_V3[c, 1] - vertices_V3[a, 1],
            vertices_V3[c, 2] - vertices_V3[a, 2],
        )
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in range(3):
            vertex = faces_F3[face, corner]
            out_V3[vertex, 0] += nx
            out_V3[vertex, 1] += ny
            out_V3[vertex, 2] += nz
    for vertex in range(out_V3.shape[0]):
        length = np.sqrt(out_V3[vertex, 0] ** 2 + out_V3[vertex, 1] ** 2 + out_V3[vertex, 2] ** 2)
        for axis in range(3):
            out_V3[vertex, axis] /= max(length, 1e-12)


@numba.njit(cache=True)
def _skin(vertices_V3: Any, segments_VN: Any, shares_VN: Any, affine_S12: Any, out_V3: Any) -> None:
    for vertex in range(vertices_V3.shape[0]):
        x, y, z = vertices_V3[vertex, 0], vertices_V3[vertex, 1], vertices_V3[vertex, 2]
        for entry in range(segments_VN.shape[1]):
            share, segment = shares_VN[vertex, entry], segments_VN[vertex, entry]
            if share == 0:
                continue
            for axis in range(3):
                row = 4 * axis
                out_V3[vertex, axis] += share * (
                    affine_S12[segment, row] * x
                    + affine_S12[segment, row + 1] * y
                    + affine_S12[segment, row + 2] * z
                    + affine_S12[segment, row + 3]
                )


def skinned(vertices_V3: Array, segments_VN: Index, shares_VN: Array, affine_S12: Array) -> Array:
    """Vertices moved by a blend of affine maps (S, 3 by 4 in a row), each by its shares of N of them."""
    out_V3 = np.zeros(vertices_V3.shape, np.float32)
    _skin(vertices_V3.astype(np.float32), segments_VN, shares_VN, affine_S12, out_V3)
    return out_V3
