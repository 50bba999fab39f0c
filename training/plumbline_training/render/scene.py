"""Several people and things before one camera: each lit and shadowed, and what of each keypoint shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_training.render.camera import Camera
from plumbline_training.render.person import OCCLUDED, VISIBLE, Person, Studio
from plumbline_training.render.props import Mesh
from plumbline_training.render.raster import Array, Fragments, Index, rasterise
from plumbline_training.render.shade import SUPERSAMPLING, Light, Shot, empty_room, floor_shadow, shade, split

NOBODY, THING = -1, -2
IN_FRONT_METRES = 0.03


@dataclass(frozen=True)
class Window:
    """The part of a picture that holds all meshes, in pixels; its edges lie between pixels of the coarser picture."""

    left: int
    top: int
    width: int
    height: int

    @staticmethod
    def around(pixels: Sequence[Array], camera: Camera) -> Window:
        """The smallest window around meshes that were projected by this camera; all of it for one that is too near."""
        step = SUPERSAMPLING
        points = np.concatenate(pixels)
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        if points[:, 2].min() < 0.05:
            low, high = np.zeros(2), np.array([camera.width, camera.height])
        left, top = (
            int(np.clip(value // step * step, 0, size - step))
            for value, size in zip(low, (camera.width, camera.height), strict=True)
        )
        right, bottom = (
            int(np.clip((value // step + 1) * step, start + step, size))
            for value, start, size in zip(high, (left, top), (camera.width, camera.height), strict=True)
        )
        return Window(left, top, right - left, bottom - top)


@dataclass(frozen=True)
class View:
    """A picture (H, W, 3) uint8 RGB with, at SUPERSAMPLING times its size, whose surface each pixel shows and how far.

    The maps cover `window` of the fine camera's picture. `owner_HW` is the number of a person, THING or NOBODY; `seen`
    holds each person's fragments as if alone.
    """

    picture_rgb: npt.NDArray[np.uint8]
    fine: Camera
    window: Window
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
    """The layer of people and things, drawn one after another into a shared depth buffer, where they are alone."""

    def __init__(self, camera: Camera, fine: Camera, meshes: Sequence[Array]) -> None:
        self.camera, self.fine = camera, fine
        self.window = Window.around([fine.project(vertices) for vertices in meshes], fine)
        size = self.window.height, self.window.width
        self.layer = np.zeros((*size, 4), np.float32)
        self.depth = np.full(size, np.inf, np.float32)
        self.owner: Index = np.full(size, NOBODY, np.int32)

    def drawn(self, vertices_V3: Array, faces_F3: Index) -> Fragments:
        """What of a mesh the camera would see if it were alone."""
        offset = np.array([self.window.left, self.window.top, 0], np.float32)
        return rasterise(self.fine.project(vertices_V3) - offset, faces_F3, self.window.height, self.window.width)

    def nearer(self, seen: Fragments, owner: int) -> Fragments:
        """Claims the pixels at which this mesh is the nearest so far, and gives only those."""
        mask = (seen.face_HW >= 0) & (seen.depth_HW < self.depth)
        self.depth[mask], self.owner[mask] = seen.depth_HW[mask], owner
        return Fragments(np.where(mask, seen.face_HW, -1).astype(np.int32), seen.weights_HW3, seen.depth_HW)

    def paint(self, kept: Fragments, light_N3: Array) -> None:
        """Puts light where a mesh was claimed."""
        mask = kept.face_HW >= 0
        self.layer[mask, :3], self.layer[mask, 3] = light_N3, 1

    def over(self, light_HW3: Array) -> npt.NDArray[np.uint8]:
        """The layer before a background of linear light, as a picture."""
        window = self.window
        size = (window.width // SUPERSAMPLING, window.height // SUPERSAMPLING)
        layer = cv2.resize(self.layer, size, interpolation=cv2.INTER_AREA)
        top, left = window.top // SUPERSAMPLING, window.left // SUPERSAMPLING
        part = light_HW3[top : top + size[1], left : left + size[0]]
        part[...] = part * (1 - layer[..., 3:]) + layer[..., :3]
        return np.round(np.clip(light_HW3, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def survey(studio: Studio, people: Sequence[Person], things: Sequence[Mesh], camera: Camera) -> View:
    """What hides what, without a picture."""
    canvas = Canvas(camera, camera.scaled(SUPERSAMPLING), _meshes(people, things))
    alone = []
    for number, person in enumerate(people):
        alone.append(canvas.drawn(person.vertices_V3, studio.model.faces_F3))
        canvas.nearer(alone[-1], number)
    for thing in things:
        canvas.nearer(canvas.drawn(thing.vertices_V3, thing.faces_F3), THING)
    return View(np.zeros((0, 0, 3), np.uint8), canvas.fine, canvas.window, canvas.owner, canvas.depth, alone)


def _meshes(people: Sequence[Person], things: Sequence[Mesh]) -> list[Array]:
    worn = [mesh.vertices_V3 for person in people for mesh in person.worn]
    return [*(person.vertices_V3 for person in people), *worn, *(thing.vertices_V3 for thing in things)]


def draw_scene(
    studio: Studio, people: Sequence[Person], things: Sequence[Mesh], shot: Shot, backdrop: Array | None = None
) -> View:
    """Everything in one picture. `backdrop` is `empty_room(shot)`, to be given when many pictures share one."""
    camera, faces = shot.camera, studio.model.faces_F3
    light_HW3, floor_HW = split(backdrop if backdrop is not None else empty_room(shot))
    canvas, alone = Canvas(camera, camera.scaled(SUPERSAMPLING), _meshes(people, things)), []
    shadow = np.ones_like(floor_HW)
    for number, person in enumerate(people):
        shadow *= 1 - floor_HW * floor_shadow(person, faces, shot)
        alone.append(canvas.drawn(person.vertices_V3, faces))
        kept = canvas.nearer(alone[-1], number)
        canvas.paint(kept, shade(studio, person, shot, kept))
        for worn in person.worn:
            kept = canvas.nearer(canvas.drawn(worn.vertices_V3, worn.faces_F3), number)
            canvas.paint(kept, thing_light(worn, shot.light, kept.face_HW[kept.face_HW >= 0]))
    for thing in things:
        kept = canvas.nearer(canvas.drawn(thing.vertices_V3, thing.faces_F3), THING)
        canvas.paint(kept, thing_light(thing, shot.light, kept.face_HW[kept.face_HW >= 0]))
    picture = canvas.over(light_HW3 * shadow[..., None])
    return View(picture, canvas.fine, canvas.window, canvas.owner, canvas.depth, alone)


def visibility(studio: Studio, person: Person, number: int, view: View) -> npt.NDArray[np.int32]:
    """COCO visibility (K,) of one person's keypoints: hidden by the own body, by others, or by things."""
    window = view.window
    flags = studio.visibility(person, view.fine, view.seen[number], (window.left, window.top))
    pixels_K3 = view.fine.project(person.keypoints_K3)
    for keypoint in np.flatnonzero(flags == VISIBLE):
        x, y, depth = pixels_K3[keypoint]
        row, column = round(float(y)) - window.top, round(float(x)) - window.left
        if not (0 <= row < window.height and 0 <= column < window.width):
            continue
        other = view.owner_HW[row, column] not in (number, NOBODY)
        if other and view.depth_HW[row, column] < depth - IN_FRONT_METRES:
            flags[keypoint] = OCCLUDED
    return flags


def covered(view: View, number: int) -> tuple[tuple[float, float, float, float], float]:
    """COCO's box (left, top, width, height) and area of what shows of one person, in the picture's pixels."""
    rows, columns = np.nonzero(view.owner_HW == number)
    if len(rows) == 0:
        return (0.0, 0.0, 0.0, 0.0), 0.0
    left, top = int(columns.min()) + view.window.left, int(rows.min()) + view.window.top
    width, height = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
    scale = 1.0 / SUPERSAMPLING
    return (left * scale, top * scale, width * scale, height * scale), len(rows) * scale**2
