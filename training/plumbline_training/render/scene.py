"""Several people and things before one camera: nearest first, each lit and shadowed, and what of each keypoint shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_training.render.body import Array, Index
from plumbline_training.render.camera import Camera
from plumbline_training.render.person import OCCLUDED, VISIBLE, Person, Studio
from plumbline_training.render.props import Mesh
from plumbline_training.render.raster import Fragments, rasterise
from plumbline_training.render.shade import SUPERSAMPLING, Light, Shot, empty_room, floor_shadow, shade, split

NOBODY, THING = -1, -2
IN_FRONT_METRES = 0.03


@dataclass(frozen=True)
class View:
    """A picture (H, W, 3) uint8 RGB with, at SUPERSAMPLING times its size, whose surface each pixel shows and how far.

    `owner_HW` is the number of a person, THING or NOBODY; `seen` holds each person's fragments as if alone.
    """

    picture_rgb: npt.NDArray[np.uint8]
    fine: Camera
    owner_HW: Index
    depth_HW: Array
    seen: list[Fragments]


def thing_light(mesh: Mesh, light: Light, face_N: Index) -> Array:
    """Light leaving a thing's faces, (N, 3), linear."""
    corners = mesh.vertices_V3[mesh.faces_F3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    facing = np.clip(np.abs(normals @ light.direction), 0, 1) * 0.7
    tint = np.array([1 + light.warmth, 1, 1 - light.warmth], np.float32)
    bright = light.strength * facing[:, None] * tint + light.ambient * (0.7 + 0.3 * normals[:, 2:])
    return np.asarray((np.array(mesh.colour) ** 2.2 * bright)[face_N], dtype=np.float32)


class Canvas:
    """The layer of people and things, drawn one after another into a shared depth buffer."""

    def __init__(self, camera: Camera) -> None:
        self.fine = camera.scaled(SUPERSAMPLING)
        size = self.fine.height, self.fine.width
        self.layer = np.zeros((*size, 4), np.float32)
        self.depth = np.full(size, np.inf, np.float32)
        self.owner: Index = np.full(size, NOBODY, np.int32)

    def drawn(self, vertices_V3: Array, faces_F3: Index) -> Fragments:
        """What of a mesh the camera would see if it were alone."""
        return rasterise(self.fine.project(vertices_V3), faces_F3, self.fine.height, self.fine.width)

    def nearer(self, seen: Fragments, owner: int) -> Fragments:
        """Claims the pixels at which this mesh is the nearest so far, and gives only those."""
        mask = (seen.face_HW >= 0) & (seen.depth_HW < self.depth)
        self.depth[mask], self.owner[mask] = seen.depth_HW[mask], owner
        return Fragments(np.where(mask, seen.face_HW, -1).astype(np.int32), seen.weights_HW3, seen.depth_HW)

    def paint(self, kept: Fragments, light_N3: Array) -> None:
        """Puts light where a mesh was claimed."""
        mask = kept.face_HW >= 0
        self.layer[mask, :3], self.layer[mask, 3] = light_N3, 1


def draw_scene(
    studio: Studio, people: Sequence[Person], things: Sequence[Mesh], shot: Shot, backdrop: Array | None = None
) -> View:
    """Everything in one picture. `backdrop` is `empty_room(shot)`, to be given when many pictures share one."""
    camera, faces = shot.camera, studio.model.faces_F3
    light_HW3, floor_HW = split(backdrop if backdrop is not None else empty_room(shot))
    canvas, alone = Canvas(camera), []
    for number, person in enumerate(people):
        light_HW3 = light_HW3 * (1 - floor_HW * floor_shadow(person, faces, shot))[..., None]
        alone.append(canvas.drawn(person.vertices_V3, faces))
        kept = canvas.nearer(alone[-1], number)
        canvas.paint(kept, shade(studio, person, shot, kept))
        for worn in person.worn:
            kept = canvas.nearer(canvas.drawn(worn.vertices_V3, worn.faces_F3), number)
            canvas.paint(kept, thing_light(worn, shot.light, kept.face_HW[kept.face_HW >= 0]))
    for thing in things:
        kept = canvas.nearer(canvas.drawn(thing.vertices_V3, thing.faces_F3), THING)
        canvas.paint(kept, thing_light(thing, shot.light, kept.face_HW[kept.face_HW >= 0]))
    layer = cv2.resize(canvas.layer, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    linear = light_HW3 * (1 - layer[..., 3:]) + layer[..., :3]
    picture = np.round(np.clip(linear, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    return View(picture, canvas.fine, canvas.owner, canvas.depth, alone)


def visibility(studio: Studio, person: Person, number: int, view: View) -> npt.NDArray[np.int32]:
    """COCO visibility (K,) of one person's keypoints: hidden by the own body, by others, or by things."""
    flags = studio.visibility(person, view.fine, view.seen[number])
    pixels_K3 = view.fine.project(person.keypoints_K3)
    for keypoint in np.flatnonzero(flags == VISIBLE):
        x, y, depth = pixels_K3[keypoint]
        row, column = round(float(y)), round(float(x))
        other = view.owner_HW[row, column] not in (number, NOBODY)
        if other and view.depth_HW[row, column] < depth - IN_FRONT_METRES:
            flags[keypoint] = OCCLUDED
    return flags


def covered(view: View, number: int) -> tuple[tuple[float, float, float, float], float]:
    """COCO's box (left, top, width, height) and area of what shows of one person, in the picture's pixels."""
    rows, columns = np.nonzero(view.owner_HW == number)
    if len(rows) == 0:
        return (0.0, 0.0, 0.0, 0.0), 0.0
    left, top = int(columns.min()), int(rows.min())
    width, height = int(columns.max()) - left + 1, int(rows.max()) - top + 1
    scale = 1.0 / SUPERSAMPLING
    return (left * scale, top * scale, width * scale, height * scale), len(rows) * scale**2
