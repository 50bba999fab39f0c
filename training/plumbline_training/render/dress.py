"""Dresses a body: moves cloth and hair off the skin, and paints every point of the surface."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import Keypoint
from plumbline_training.render.body import Body, BodyModel
from plumbline_training.render.look import Colour, Garment, Look
from plumbline_training.render.raster import Array, Index, vertex_normals
from plumbline_training.render.surface import (
    ARM,
    ARMS,
    FEET,
    HEAD,
    HEAD_FRONT,
    HEAD_UP,
    HEAD_X,
    LEG,
    LEGS,
    TRUNK,
    Surface,
    X,
    Y,
    Z,
)

Mask = npt.NDArray[np.bool_]


class Dresser:
    """Decides what covers each point of the canonical surface, for vertices and for pixels alike."""

    def __init__(self, model: BodyModel, surface: Surface) -> None:
        self.model = model
        self.surface = surface
        points = model.regressor_KV @ model.canonical.vertices_V3
        self.hip_height = float(points[Keypoint.LEFT_HIP][2])
        shoulders = (points[Keypoint.LEFT_SHOULDER] + points[Keypoint.RIGHT_SHOULDER]) / 2
        self.neck_height = float(shoulders[2]) + 0.075
        self.neck_y = float(shoulders[1])
        self.pupil = model.canonical.vertices_V3[surface.eyeball_V & (model.canonical.vertices_V3[:, 0] > 0)]
        self.pupil = self.pupil[self.pupil[:, 1].argmin()]

    def shirt(self, look: Look, region: Index, fields: Array) -> Mask:
        """Trunk between the trousers and the collar, and the sleeves."""
        front = np.clip((self.neck_y - fields[:, Y]) / 0.1, 0, 1) * np.exp(-((fields[:, X] / 0.09) ** 2))
        under_collar = fields[:, Z] < self.neck_height - (0.02 + look.collar) * front
        trunk = ((region == TRUNK) | (region == HEAD)) & under_collar
        sleeves = (region == ARMS) & (fields[:, ARM] < look.sleeve)
        tail = (region == LEGS) & (fields[:, LEG] < 0.12)
        return np.asarray(trunk | sleeves | tail, dtype=bool)

    def trousers(self, look: Look, region: Index, fields: Array) -> Mask:
        """Below the waistband, as far down the legs as they go."""
        trunk = (region == TRUNK) & (fields[:, Z] < self.hip_height + look.waist)
        return np.asarray(trunk | ((region == LEGS) & (fields[:, LEG] < look.leg_length)), dtype=bool)

    @staticmethod
    def above_hairline(look: Look, region: Index, fields: Array) -> Array:
        """Ear half-widths above a line from the forehead around the ears to the nape; negative below it."""
        front, up = fields[:, HEAD_FRONT], fields[:, HEAD_UP]
        places = [-1.5, -0.35, -0.1, 0.25, 0.5, 0.95, 1.3]
        line = np.interp(front, places, [look.nape, look.nape, 0.05, 0.1, 0.8, look.hairline, look.hairline])
        ear = (np.hypot(front + 0.1, up - 0.05) < 0.5) & (fields[:, HEAD_X] > 0.88)
        covered = ((region == HEAD) | (region == TRUNK)) & (up > look.nape) & ~ear & (look.hairline < 2)
        return np.asarray(np.where(covered, up - line, -1.0), dtype=np.float32)

    def shaped(self, look: Look, body: Body) -> Array:
        """The rest vertices with cloth, shoes and hair standing off the skin."""
        region, fields = self.surface.region_V, self.surface.fields_VC
        offset_V = np.zeros(len(region), np.float32)
        cloth_V = np.zeros(len(region), np.float32)
        trousers = self.trousers(look, region, fields)
        offset_V[trousers] = look.trousers.thickness
        cloth_V[trousers] = 0.5
        if look.shirt is not None:
            shirt = self.shirt(look, region, fields)
            offset_V[shirt] = look.shirt.thickness
            overlap = shirt & trousers
            offset_V[overlap] += look.trousers.thickness
            cloth_V[shirt] = 0.5
        if look.shoes is not None:
            shoe = (region == FEET) | ((region == LEGS) & (fields[:, LEG] > 1.97))
            offset_V[shoe] = look.shoes.thickness
            cloth_V[region == FEET] = 0.6
        hair = self.above_hairline(look, region, fields)
        offset_V += look.hair_thickness * np.clip(hair / 0.35, 0, 1) * (0.8 + 0.2 * np.clip(fields[:, HEAD_UP], -1, 2))
        vertices = self.surface.smoothed(body.vertices_V3, cloth_V, 6)
        if look.shoes is not None:
            vertices = self._shoes(vertices)
        normals = vertex_normals(vertices, self.model.faces_F3)
        return np.asarray(vertices + normals * offset_V[:, None], dtype=np.float32)

    def _shoes(self, vertices_V3: Array) -> Array:
        """Feet swollen to closed shoes: slice by slice from heel to toe, a flat-soled rounded box around the foot."""
        shod = vertices_V3.copy()
        feet = self.surface.region_V == FEET
        for foot in (feet & (vertices_V3[:, 0] > 0), feet & (vertices_V3[:, 0] < 0)):
            shod[foot] = shoe(vertices_V3[foot])
        return self.surface.smoothed(shod, 0.7 * feet.astype(np.float32), 4)

    def paint(self, look: Look, face_N: Index, fields: Array) -> Array:
        """Colours (N, 3) of surface points given their face and interpolated fields."""
        region = self.surface.region_F[face_N]
        colours = np.tile(np.array(look.skin, np.float32), (len(region), 1))
        self._paint_face(look, region, fields, colours)
        socks = (region == LEGS) & (fields[:, LEG] > look.sock_length)
        if look.shoes is not None:
            colours[socks] = look.sock_colour
            shoe = (region == FEET) | ((region == LEGS) & (fields[:, LEG] > 1.97))
            colours[shoe] = cloth(look.shoes, fields[shoe])
            sole = shoe & (fields[:, Z] < self.model.canonical.vertices_V3[:, 2].min() + 0.013)
            colours[sole] = look.shoes.second
        trousers = self.trousers(look, region, fields)
        colours[trousers] = cloth(look.trousers, fields[trousers])
        if look.shirt is not None:
            shirt = self.shirt(look, region, fields)
            tucked = look.shirt.thickness < 0.006
            if tucked:
                shirt &= ~trousers
            colours[shirt] = cloth(look.shirt, fields[shirt])
        self._paint_eyes(face_N, fields, colours)
        return colours

    def _paint_face(self, look: Look, region: Index, fields: Array, colours: Array) -> None:
        side, front, up = fields[:, HEAD_X], fields[:, HEAD_FRONT], fields[:, HEAD_UP]
        face = (region == HEAD) & (front > 0.55)
        skin, hair = np.array(look.skin), np.array(look.hair)
        cheeks = face & (np.hypot(side - 0.55, up + 0.35) < 0.3)
        colours[cheeks] = skin * (1.0, 0.94, 0.93)
        brows = face & (np.abs(side - 0.45) < 0.27) & (np.abs(up - 0.55 + 0.25 * (side - 0.45) ** 2) < 0.05)
        colours[brows] = 0.75 * hair + 0.25 * skin * 0.6
        lids = face & (np.hypot((side - 0.41) / 1.4, up - 0.26) < 0.14)
        colours[lids] = skin * 0.72
        lips = face & (np.hypot(side / 0.34, (up + 0.66) / 0.10) < 1)
        colours[lips] = skin * (0.82, 0.58, 0.58)
        mouth = face & (side < 0.3) & (np.abs(up + 0.655) < 0.017)
        colours[mouth] = skin * 0.35
        if look.beard > 0:
            jaw = (region == HEAD) & (front > 0.15) & (up < -0.3 - 0.28 * front) & (up > -1.3) & ~lips & ~mouth
            moustache = face & (side < 0.4) & (np.abs(up + 0.5) < 0.06)
            stubble = jaw | moustache
            colours[stubble] = look.beard * hair + (1 - look.beard) * skin
        scalp = self.above_hairline(look, region, fields) > 0
        strands = 0.75 + 0.5 * ripple(fields[scalp, :3] * (150, 30, 30))
        colours[scalp] = hair * strands[:, None]

    def _paint_eyes(self, face_N: Index, fields: Array, colours: Array) -> None:
        eye = self.surface.eyeball_F[face_N]
        distance = np.hypot(np.abs(fields[eye, X]) - self.pupil[0], fields[eye, Z] - self.pupil[2])
        colours[eye] = np.where(distance[:, None] < 0.0065, (0.10, 0.07, 0.05), (0.82, 0.80, 0.78))


def shoe(foot_N3: Array) -> Array:
    """Points of a foot that points along y, moved out to superellipses around its cross-sections; the ankle stays."""
    slices = 14
    low, high = foot_N3.min(axis=0), foot_N3.max(axis=0)
    share = (foot_N3[:, 1] - low[1]) / (high[1] - low[1])
    middles = (np.arange(slices) + 0.5) / slices
    extents = []
    for middle in middles:
        inside = foot_N3[np.abs(share - middle) < 1.0 / slices]
        extents.append((inside[:, 0].min(), inside[:, 0].max(), inside[:, 2].max()))
    left, right, top = (np.interp(share, middles, extent) for extent in zip(*extents, strict=True))
    half_width, half_height = (right - left) / 2, (top - low[2]) / 2
    across = (foot_N3[:, 0] - (left + right) / 2) / half_width
    up = (foot_N3[:, 2] - low[2]) / half_height - 1
    radius = np.maximum((np.abs(across) ** 3 + np.abs(up) ** 3) ** (1 / 3), 0.05)
    shod = foot_N3.copy()
    shod[:, 0] = (left + right) / 2 + half_width * across / radius
    shod[:, 2] = low[2] + half_height * (1 + up / radius)
    keep = np.clip((foot_N3[:, 2:] - low[2]) / (high[2] - low[2]) * 2.5 - 1.1, 0, 1)
    return np.asarray(keep * foot_N3 + (1 - keep) * shod, dtype=np.float32)


def ripple(points_N3: Array) -> Array:
    """A cheap smooth pattern in [0, 1] of points in space."""
    x, y, z = points_N3.T
    wave = np.sin(x + 1.7 * np.sin(0.9 * z)) + np.sin(1.3 * z + 1.1 * np.sin(1.1 * x)) + np.sin(1.7 * y + x)
    return np.asarray(0.5 + wave / 6, dtype=np.float32)


def cloth(garment: Garment, fields: Array) -> Array:
    """The garment's colour at points of the canonical surface."""
    x, y, z = fields[:, X] * garment.scale, fields[:, Y] * garment.scale, fields[:, Z] * garment.scale
    second: Colour = garment.second
    if garment.pattern == "stripes":
        other = np.sin(z * 4) > 0.3
    elif garment.pattern == "bars":
        other = np.sin(x * 4) > 0.6
    elif garment.pattern == "checks":
        other = (np.sin(z * 3) > 0) ^ (np.sin(x * 3) > 0)
    elif garment.pattern == "blotches":
        other = ripple(np.stack([x, y, z], axis=1)) > 0.6
    elif garment.pattern == "print":
        other = (np.abs(fields[:, X]) < 0.09) & (np.abs(fields[:, Z] - 0.3) < 0.05) & (fields[:, Y] < 0)
    else:
        other = np.zeros(len(fields), bool)
    colours = np.where(other[:, None], np.array(second), np.array(garment.colour))
    return np.asarray(colours, dtype=np.float32)
