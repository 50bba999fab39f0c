"""Things beside the bodies: weights in the hands, a desk and a chair, what stands in the way, skirts and tied hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plumbline_training.render.body import SEGMENT_INDEX
from plumbline_training.render.look import Colour
from plumbline_training.render.pose import SIDES, Lengths, Vector, sign, unit
from plumbline_training.render.raster import Array, Index
from plumbline_training.render.room import BOX_FACES, Block

AROUND = 10


@dataclass(frozen=True)
class Mesh:
    """Triangles of one colour in world axes."""

    vertices_V3: Array
    faces_F3: Index
    colour: Colour


@dataclass(frozen=True)
class Placed:
    """One posed skeleton: world rotations (S, 3, 3) and pivots (S, 3) of its segments, feet on the floor."""

    rotations_S33: Array
    positions_S3: Array

    def turn(self, segment: str) -> Vector:
        """The segment's rotation from rest."""
        return np.asarray(self.rotations_S33[SEGMENT_INDEX[segment]], dtype=np.float64)

    def at(self, segment: str) -> Vector:
        """The segment's pivot."""
        return np.asarray(self.positions_S3[SEGMENT_INDEX[segment]], dtype=np.float64)


def loft(rings_RN3: Vector, colour: Colour, closed: bool = True) -> Mesh:
    """A skin over rings of equally many points; `closed` adds a lid at each end."""
    rings, points = rings_RN3.shape[:2]
    faces = []
    for ring in range(rings - 1):
        for point in range(points):
            a, b = ring * points + point, ring * points + (point + 1) % points
            faces += [(a, b, a + points), (b, b + points, a + points)]
    vertices = rings_RN3.reshape(-1, 3)
    if closed:
        for ring in (0, rings - 1):
            middle = len(vertices)
            vertices = np.concatenate([vertices, rings_RN3[ring].mean(axis=0)[None]])
            faces += [(ring * points + p, ring * points + (p + 1) % points, middle) for p in range(points)]
    return Mesh(vertices.astype(np.float32), np.array(faces, np.int32), colour)


def tube(path_R3: Vector, radii_R: Vector, colour: Colour) -> Mesh:
    """A round bar along a path, of these radii."""
    along = unit(path_R3[-1] - path_R3[0])
    first = unit(np.cross(along, (0.31, 0.87, 0.4)))
    second = np.cross(along, first)
    angles = np.linspace(0, 2 * np.pi, AROUND, endpoint=False)
    circle = np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * second
    return loft(path_R3[:, None] + np.asarray(radii_R)[:, None, None] * circle, colour)


def box(block: Block) -> Mesh:
    """A block as a mesh."""
    return Mesh(block.corners(), BOX_FACES, block.colour)


def _weight(middle: Vector, axis: Vector, half: float, radius: float, colour: Colour) -> list[Mesh]:
    """A bar with a disc at each end."""
    bar = tube(np.stack([middle - half * axis, middle + half * axis]), np.array([0.014, 0.014]), (0.45, 0.45, 0.47))
    discs = [
        tube(
            np.stack([middle + way * half * axis, middle + way * (half + 0.05) * axis]), np.array([radius] * 2), colour
        )
        for way in (-1, 1)
    ]
    return [bar, *discs]


def grip(placed: Placed, side: str) -> Vector:
    """The middle of a closed hand."""
    wrist, elbow = placed.at(f"hand.{side}"), placed.at(f"forearm.{side}")
    return np.asarray(wrist + 0.075 * unit(wrist - elbow))


def dumbbells(placed: Placed, rng: np.random.Generator) -> list[Mesh]:
    """One in each hand, across the palm."""
    radius, shade = float(rng.uniform(0.03, 0.065)), float(rng.uniform(0.05, 0.4))
    meshes = []
    for side in SIDES:
        rest_axis = unit((sign(side) * 0.62, 0.66, -0.42))
        meshes += _weight(grip(placed, side), placed.turn(f"hand.{side}") @ rest_axis, 0.07, radius, (shade,) * 3)
    return meshes


def barbell(placed: Placed, rng: np.random.Generator) -> list[Mesh]:
    """One bar through both hands."""
    left, right = (grip(placed, side) for side in SIDES)
    axis, half = unit(left - right), float(np.linalg.norm(left - right)) / 2 + float(rng.uniform(0.2, 0.5))
    colour = tuple(float(value) for value in rng.uniform(0.03, 0.6, 3))
    return _weight((left + right) / 2, axis, half, float(rng.uniform(0.08, 0.22)), colour)  # type: ignore[arg-type]


def desk(placed: Placed, rng: np.random.Generator, with_desk: bool = True) -> list[Mesh]:
    """A chair under somebody who sits, and a table with a screen before them."""
    hips = (placed.at("thigh.L") + placed.at("thigh.R")) / 2
    ahead = unit(np.cross((0.0, 0.0, 1.0), placed.at("thigh.R") - placed.at("thigh.L")))
    turn = float(np.degrees(np.arctan2(ahead[0], -ahead[1])))

    def block(forward: float, base: float, size: tuple[float, float, float], colour: Colour) -> Mesh:
        place = hips[:2] + forward * ahead[:2]
        return box(Block((float(place[0]), float(place[1]), base), size, turn, colour))

    wood: Colour = tuple(
        float(value) for value in np.clip(rng.uniform(0.15, 0.85) + rng.normal(0, 0.07, 3), 0.05, 0.95)
    )  # type: ignore[assignment]
    cloth: Colour = tuple(float(value) for value in rng.uniform(0.05, 0.6, 3))  # type: ignore[assignment]
    seat_top = float(hips[2]) - 0.09
    things = [
        block(0.06, seat_top - 0.07, (0.44, 0.46, 0.06), cloth),
        block(0.0, 0.0, (0.07, 0.07, seat_top), (0.2,) * 3),
    ]
    if rng.random() < 0.6:
        things.append(block(-0.27, seat_top + 0.12, (0.42, 0.05, float(rng.uniform(0.2, 0.55))), cloth))
    if with_desk:
        top = seat_top + float(rng.uniform(0.22, 0.3))
        things.append(block(float(rng.uniform(0.75, 0.85)), top, (float(rng.uniform(0.9, 1.6)), 0.65, 0.03), wood))
        if rng.random() < 0.7:
            things.append(block(0.95, top + 0.05, (float(rng.uniform(0.35, 0.6)), 0.03, 0.33), (0.06, 0.06, 0.07)))
    return things


def skirt(placed: Placed, size: Lengths, colour: Colour, length: float, flare: float) -> Mesh:
    """Cloth around both thighs, from the waist to `length` of the thigh; rings are stadiums around the two legs."""
    hips = {side: placed.at(f"thigh.{side}") for side in SIDES}
    knees = {side: placed.at(f"shin.{side}") for side in SIDES}
    pelvis = placed.turn("pelvis")
    angles = np.linspace(0, 2 * np.pi, 2 * AROUND, endpoint=False)
    rings = []
    for share in np.linspace(-0.2, length, 7):
        down = max(share, 0.0)
        centre = {side: hips[side] + down * (knees[side] - hips[side]) for side in SIDES}
        if share < 0:
            centre = {side: at + pelvis @ (0, 0.01, -share * size.thigh) for side, at in centre.items()}
        across = unit(centre["L"] - centre["R"])
        along = unit(
            pelvis @ np.array([0, 0, -1.0]) * 0.35 + down * unit(knees["L"] + knees["R"] - hips["L"] - hips["R"])
        )
        depth = unit(np.cross(across, along))
        radius = size.thigh * (0.2 + 0.05 * min(share, 0) + flare * down)
        ring = [
            centre["L" if np.cos(a) >= 0 else "R"] + radius * (0.55 * np.cos(a) * across + np.sin(a) * depth)
            for a in angles
        ]
        rings.append(np.stack(ring))
    return loft(np.stack(rings), colour, closed=False)


def tied_hair(placed: Placed, colour: Colour, length: float, head_size: float) -> Mesh:
    """A tail that hangs from the back of the head."""
    start = placed.at("head") + placed.turn("head") @ np.array([0.0, 1.05, 0.75]) * head_size
    out = unit(placed.turn("head") @ np.array([0.0, 1.0, 0.3])) * 0.06
    path = np.stack(
        [start - 0.3 * out, start + out, start + out + (0, 0, -0.4 * length), start + 0.6 * out + (0, 0, -length)]
    )
    return tube(path, np.array([0.025, 0.036, 0.034, 0.008]), colour)
