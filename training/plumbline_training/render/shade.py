"""Light on a person and the picture that results: sun with a shadow map, sky light, a shadow on the floor, film."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_training.render.camera import Camera
from plumbline_training.render.person import Person, Studio
from plumbline_training.render.pose import unit
from plumbline_training.render.raster import Array, Fragments, Index, rasterise
from plumbline_training.render.room import Room, draw

SUPERSAMPLING = 2
SHADOW_PIXELS = 384


@dataclass(frozen=True)
class Light:
    """One lamp far away and light from all around."""

    azimuth_degrees: float
    elevation_degrees: float
    strength: float = 0.9
    ambient: float = 0.6
    warmth: float = 0.0
    """Positive is yellow, negative blue; within 0.1 or so."""

    @property
    def direction(self) -> Array:
        """Unit vector towards the lamp."""
        azimuth, elevation = math.radians(self.azimuth_degrees), math.radians(self.elevation_degrees)
        flat = math.cos(elevation)
        vector = unit((flat * math.sin(azimuth), -flat * math.cos(azimuth), math.sin(elevation)))
        return vector.astype(np.float32)


@dataclass(frozen=True)
class Shot:
    """Everything about one picture but the person: where, by what light, from where."""

    room: Room
    light: Light
    camera: Camera


@dataclass(frozen=True)
class Drawn:
    """A finished picture (H, W, 3) uint8 RGB, and what a camera of SUPERSAMPLING times its size saw of the person."""

    picture_rgb: npt.NDArray[np.uint8]
    seen: Fragments
    fine: Camera


def _light_view(points_N3: Array, light: Light) -> Array:
    """World points to the lamp's own pixels before scaling: two axes across its direction, and distance (negated)."""
    forward = light.direction
    right = unit(np.cross(forward, (0.1, 0.2, 1.0))).astype(np.float32)
    up = np.cross(right, forward)
    return np.asarray(np.stack([points_N3 @ right, points_N3 @ up, -points_N3 @ forward], axis=1), dtype=np.float32)


def lit_share(person: Person, faces_F3: Index, light: Light, points_N3: Array) -> Array:
    """How much of the lamp reaches each point, 0 to 1, softened over neighbouring pixels of the shadow map."""
    mesh, points = _light_view(person.vertices_V3, light), _light_view(points_N3, light)
    low = mesh.min(axis=0)
    scale = (SHADOW_PIXELS - 3) / float((mesh[:, :2].max(axis=0) - low[:2]).max())
    pixels = np.concatenate([(mesh[:, :2] - low[:2]) * scale + 1, mesh[:, 2:] - low[2] + 1], axis=1)
    depth = rasterise(pixels.astype(np.float32), faces_F3, SHADOW_PIXELS, SHADOW_PIXELS).depth_HW
    at = (points[:, :2] - low[:2]) * scale + 1
    distance = points[:, 2] - low[2] + 1
    total = np.zeros(len(points), np.float32)
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)):
        columns = np.clip(np.round(at[:, 0] + 1.3 * dx).astype(int), 0, SHADOW_PIXELS - 1)
        rows = np.clip(np.round(at[:, 1] + 1.3 * dy).astype(int), 0, SHADOW_PIXELS - 1)
        total += distance < depth[rows, columns] + 0.03
    return np.asarray(total / 5, dtype=np.float32)


def floor_shadow(person: Person, faces_F3: Index, shot: Shot) -> Array:
    """How dark the floor is under the person, (H, W) in [0, 1]: the cast shadow and a soft one where feet touch."""
    camera, direction = shot.camera, shot.light.direction
    vertices = person.vertices_V3
    slide = vertices[:, 2:] / max(float(direction[2]), 0.25) * direction[None, :2]
    cast = np.concatenate([vertices[:, :2] - slide, np.zeros_like(vertices[:, 2:])], axis=1)
    size = camera.height, camera.width
    hard = (rasterise(camera.project(cast), faces_F3, *size).face_HW >= 0).astype(np.float32)
    low_faces = faces_F3[(vertices[faces_F3, 2] < 0.12).all(axis=1)]
    flat = vertices * np.array([1, 1, 0], np.float32)
    contact = (rasterise(camera.project(flat), low_faces, *size).face_HW >= 0).astype(np.float32)
    blur = max(1.0, camera.height / 200)
    lamp = shot.light.strength / (shot.light.strength + shot.light.ambient)
    cast_share = lamp * 0.8 * cv2.GaussianBlur(hard, (0, 0), blur)
    contact_share = 0.6 * cv2.GaussianBlur(contact, (0, 0), blur * 2.5)
    return np.asarray(1 - (1 - cast_share) * (1 - np.clip(contact_share, 0, 1)), dtype=np.float32)


def shade(studio: Studio, person: Person, shot: Shot, seen: Fragments) -> Array:
    """Light leaving the covered pixels, (N, 3), linear."""
    faces = studio.model.faces_F3
    values = np.concatenate([studio.surface.fields_VC, person.normals_V3, person.vertices_V3], axis=1)
    blended = seen.interpolate(faces, values)
    count = studio.surface.fields_VC.shape[1]
    fields, normals, points = blended[:, :count], blended[:, count : count + 3], blended[:, count + 3 :]
    albedo = studio.dresser.paint(person.look, seen.face_HW[seen.face_HW >= 0], fields) ** 2.2
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    towards = np.asarray(shot.camera.position, np.float32) - points
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    facing = np.clip(normals @ shot.light.direction, 0, 1) * lit_share(person, faces, shot.light, points)
    sky = 0.55 + 0.45 * normals[:, 2] * np.clip(points[:, 2] + 0.3, 0, 1)
    rim = 0.75 + 0.25 * np.clip(np.sum(normals * towards, axis=1), 0, 1)
    tint = np.array([1 + shot.light.warmth, 1, 1 - shot.light.warmth], np.float32)
    half = unit_rows(towards + shot.light.direction)
    gloss = 0.035 * np.clip(np.sum(normals * half, axis=1), 0, 1) ** 20 * (facing > 0)
    lamp = shot.light.strength * facing[:, None] * tint
    return np.asarray(albedo * (lamp + (shot.light.ambient * sky * rim)[:, None]) + gloss[:, None], dtype=np.float32)


def unit_rows(vectors_N3: Array) -> Array:
    """Each row at length one."""
    return np.asarray(vectors_N3 / np.maximum(np.linalg.norm(vectors_N3, axis=1, keepdims=True), 1e-6), np.float32)


def photograph(studio: Studio, person: Person, shot: Shot, backdrop: Array | None = None) -> Drawn:
    """The person in the room. `backdrop` is `empty_room(shot)`, to be given when many pictures share one."""
    camera = shot.camera
    light_HW3, floor_HW = split(backdrop if backdrop is not None else empty_room(shot))
    light_HW3 = light_HW3 * (1 - floor_HW * floor_shadow(person, studio.model.faces_F3, shot))[..., None]
    fine = camera.scaled(SUPERSAMPLING)
    seen = rasterise(fine.project(person.vertices_V3), studio.model.faces_F3, fine.height, fine.width)
    layer = np.zeros((fine.height, fine.width, 4), np.float32)
    covered = seen.face_HW >= 0
    layer[covered, :3] = shade(studio, person, shot, seen)
    layer[covered, 3] = 1
    layer = cv2.resize(layer, (camera.width, camera.height), interpolation=cv2.INTER_AREA).astype(np.float32)
    linear = light_HW3 * (1 - layer[..., 3:]) + layer[..., :3]
    picture = np.clip(linear, 0, 1) ** (1 / 2.2) * 255
    return Drawn(np.round(picture).astype(np.uint8), seen, fine)


def empty_room(shot: Shot) -> Array:
    """The room without the person: linear light (3 channels) and a mask of the floor, (H, W, 4)."""
    colours, floor, _ = draw(shot.room, shot.camera)
    tint = np.array([1 + shot.light.warmth, 1, 1 - shot.light.warmth], np.float32)
    flux = shot.light.ambient + shot.light.strength * 0.5
    linear = np.clip(colours, 0, 1) ** 2.2 * flux * tint
    return np.concatenate([linear, floor[..., None]], axis=2).astype(np.float32)


def split(backdrop_HW4: Array) -> tuple[Array, Array]:
    """Light (H, W, 3) and floor mask (H, W) of `empty_room`."""
    return backdrop_HW4[..., :3], backdrop_HW4[..., 3]
