"""Places to exercise in: floor, walls and simple furniture, or a field under a sky; drawn by casting rays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from plumbline_training.render.camera import Camera
from plumbline_training.render.look import Colour
from plumbline_training.render.raster import Array, Index, rasterise

FLOORS: Final = ("plain", "planks", "tiles", "carpet", "rubber")
WALLS: Final = ("plain", "plain", "bricks", "panels", "blotches")

BOX_CORNERS: Final = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0, 1)], np.float32)
BOX_FACES: Final[Index] = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [1, 5, 7], [1, 7, 3]],
    np.int32,
)


@dataclass(frozen=True)
class Block:
    """A box that stands in the room: furniture, a pillar, a picture on the wall when it is thin."""

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    turn_degrees: float
    colour: Colour
    texture: str = "plain"
    second: Colour = (0.5, 0.5, 0.5)

    def corners(self) -> Array:
        """The eight corners in world axes."""
        turn = np.radians(self.turn_degrees)
        spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        return np.asarray((BOX_CORNERS * self.size) @ spin.T + self.centre, dtype=np.float32)


@dataclass(frozen=True)
class Room:
    """Floor and walls: metres around the origin, where the person is."""

    low: tuple[float, float]
    high: tuple[float, float]
    ceiling: float
    floor: str
    floor_colours: tuple[Colour, Colour]
    wall: str
    wall_colours: tuple[Colour, Colour]
    texture_seed: int
    mat: tuple[float, float, Colour] | None = None
    """Half sizes in x and y of an exercise mat under the person, and its colour."""
    outdoors: bool = False
    blocks: tuple[Block, ...] = field(default_factory=tuple)


def noise_tile(seed: int, size: int = 512) -> Array:
    """Fractal noise in [0, 1] that tiles, (size, size)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size), np.float32)
    for octave in range(2, 8):
        cells = 2**octave
        coarse = np.pad(rng.random((cells, cells), np.float32), 1, mode="wrap")
        step = size // cells
        fine = cv2.resize(coarse, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)[step:-step, step:-step]
        total += np.asarray(fine, np.float32) / 1.6 ** (octave - 2)
    low, high = float(total.min()), float(total.max())
    return np.asarray((total - low) / (high - low), dtype=np.float32)


def sampled(noise: Array, u: Array, v: Array) -> Array:
    """The tile repeated over the plane, at columns u and rows v (pixels of the tile); u and v are 2D."""
    size = len(noise)
    return np.asarray(cv2.remap(noise, u % size, v % size, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def blend_share(kind: str, u: Array, v: Array, noise: Array) -> Array:
    """How much of the second colour a material shows at metres u, v (2D), 0 to 1."""
    share = 0.15 * sampled(noise, u * 25, v * 25)
    if kind == "planks":
        plank = np.floor(u / 0.14)
        long_grain = sampled(noise, u * 400, v * 20 + 97 * plank)
        share = 0.5 * (np.sin(plank * 12.9) * 0.5 + 0.5) + 0.35 * long_grain + 0.8 * (np.abs(u / 0.14 % 1) < 0.03)
    elif kind == "tiles":
        share += 0.9 * ((u / 0.4 % 1 < 0.025) | (v / 0.4 % 1 < 0.025))
    elif kind == "bricks":
        row = np.floor(v / 0.08)
        joint = (v / 0.08 % 1 < 0.12) | ((u / 0.22 + 0.5 * (row % 2)) % 1 < 0.05)
        share = 0.7 * joint + 0.3 * sampled(noise, u * 150, v * 150)
    elif kind == "panels":
        share += 0.8 * (u / 0.9 % 1 < 0.03) + 0.3 * (v < 0.9)
    elif kind == "carpet":
        share = 0.7 * sampled(noise, u * 150, v * 150) ** 2
    elif kind == "rubber":
        share = 0.9 * (sampled(noise, u * 150, v * 150) > 0.8)
    elif kind == "blotches":
        share = (share / 0.15 - 0.4) * 3
    return np.asarray(np.clip(share, 0, 1), dtype=np.float32)


def pattern(kind: str, first: Colour, second: Colour, u: Array, v: Array, noise: Array) -> Array:
    """Colours (H, W, 3) of a surface at metres u, v (H, W)."""
    share = blend_share(kind, u.astype(np.float32), v.astype(np.float32), noise)[..., None]
    low, high = np.array(first, np.float32), np.array(second, np.float32)
    return np.asarray(low + share * (high - low), dtype=np.float32)


def draw(room: Room, camera: Camera) -> tuple[Array, Array, Array]:
    """The empty room: colours (H, W, 3), a mask of the floor (H, W) in [0, 1], and distance along the view (H, W)."""
    origin, rays = np.asarray(camera.position, np.float32), camera.rays()
    noise = noise_tile(room.texture_seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        exits = []
        for axis, (low, high) in enumerate(
            ((room.low[0], room.high[0]), (room.low[1], room.high[1]), (0.0, 1e4 if room.outdoors else room.ceiling))
        ):
            exits.append(np.where(rays[..., axis] > 0, (high - origin[axis]), (low - origin[axis])) / rays[..., axis])
    side = np.argmin(exits, axis=0)
    depth = np.min(exits, axis=0)
    depth = depth.astype(np.float32)
    points = origin + rays * depth[..., None]
    floor = (side == 2) & (rays[..., 2] < 0)
    along = np.where(side == 0, points[..., 1], points[..., 0])
    colours = pattern(room.wall, *room.wall_colours, along, points[..., 2], noise)
    colours *= (1 - 0.12 * (side == 0) - 0.1 * np.clip(1 - points[..., 2], 0, 1))[..., None]
    ceiling = (side == 2) & ~floor
    colours[ceiling] = 0.9
    if floor.any():
        ground = pattern(room.floor, *room.floor_colours, points[..., 0], points[..., 1], noise)
        colours = np.where(floor[..., None], ground, colours)
    if room.mat is not None:
        half_x, half_y, mat_colour = room.mat
        colours[floor & (np.abs(points[..., 0]) < half_x) & (np.abs(points[..., 1]) < half_y)] = mat_colour
    if room.outdoors:
        _draw_sky(room, rays, floor, noise, colours)
    mask = floor.astype(np.float32)
    _draw_blocks(room, camera, noise, colours, mask, depth)
    return colours, mask, depth


def _draw_sky(
    room: Room, rays: Array, floor: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], noise: Array, colours: Array
) -> None:
    direction = rays / np.linalg.norm(rays, axis=2, keepdims=True)
    height = direction[..., 2]
    sky = np.clip(height * 2, 0, 1)[..., None]
    sky_colours = (1 - sky) * np.array([0.86, 0.90, 0.94]) + sky * np.array([0.45, 0.62, 0.88])
    around = ((np.arctan2(direction[..., 0], direction[..., 1]) + np.pi) / (2 * np.pi) * 511).astype(int)
    skyline = 0.02 + 0.22 * noise[5, around]
    leaves = 0.5 + 0.8 * noise[(np.floor(height * 900) % 512).astype(int), (around * 7) % 512]
    trees = leaves[..., None] * np.array(room.wall_colours[0]) * 0.7
    far = np.where((height < skyline)[..., None], trees, sky_colours)
    colours[~floor] = far[~floor]


def _draw_blocks(room: Room, camera: Camera, noise: Array, colours: Array, mask: Array, depth: Array) -> None:
    origin, rays = np.asarray(camera.position, np.float32), camera.rays()
    for block in room.blocks:
        drawn = rasterise(camera.project(block.corners()), BOX_FACES, camera.height, camera.width)
        nearer = (drawn.face_HW >= 0) & (drawn.depth_HW < depth)
        if not nearer.any():
            continue
        shades = np.array([0.75, 0.75, 0.8, 0.8, 0.9, 0.9, 0.7, 0.7, 1.0, 1.0], np.float32)
        rows, columns = np.nonzero(nearer)
        window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        inside = nearer[window]
        points = origin + rays[window] * np.where(inside, drawn.depth_HW[window], 1)[..., None]
        along = points @ np.array((0.8, 0.6, 0), np.float32)
        paint = pattern(block.texture, block.colour, block.second, along, points[..., 2], noise)
        colours[nearer] = shades[drawn.face_HW[nearer]][:, None] * paint[inside]
        mask[nearer] = 0
        depth[nearer] = drawn.depth_HW[nearer]


def sample_colour_pair(rng: np.random.Generator, bright: float) -> tuple[Colour, Colour]:
    """A colour about this bright and a neighbour of it."""
    base = np.clip(bright * rng.uniform(0.6, 1.3) + rng.normal(0, 0.06, 3), 0.05, 0.97)
    near = np.clip(base * rng.uniform(0.55, 1.15) + rng.normal(0, 0.04, 3), 0.03, 0.97)
    return (tuple(float(c) for c in base), tuple(float(c) for c in near))  # type: ignore[return-value]


def sample_block(rng: np.random.Generator, room_low: tuple[float, float], room_high: tuple[float, float]) -> Block:
    """Furniture somewhere around the walls, clear of the person."""
    while True:
        x, y = rng.uniform(room_low[0], room_high[0]), rng.uniform(room_low[1], room_high[1])
        if np.hypot(x, y) > 1.9:
            break
    size = rng.uniform((0.2, 0.2, 0.2), (1.4, 0.9, 1.9))
    base = 0.0 if rng.random() < 0.7 else float(rng.uniform(0.6, 1.6))
    colour, second = sample_colour_pair(rng, float(rng.uniform(0.08, 0.9)))
    texture = str(rng.choice(("plain", "plain", *FLOORS, *WALLS)))
    size_x, size_y, size_z = (float(value) for value in size)
    return Block(
        (float(x), float(y), base), (size_x, size_y, size_z), float(rng.uniform(0, 180)), colour, texture, second
    )


def sample_room(rng: np.random.Generator) -> Room:
    """A gym, a living room, a hall, or a field."""
    outdoors = rng.random() < 0.22
    low = (float(-rng.uniform(1.6, 5)), float(-rng.uniform(1.6, 5)))
    high = (float(rng.uniform(1.6, 5)), float(rng.uniform(1.6, 5)))
    if outdoors:
        low, high = (-400.0, -400.0), (400.0, 400.0)
    floor = str(rng.choice(FLOORS)) if not outdoors else "carpet"
    green = ((0.22, 0.36, 0.12), (0.38, 0.48, 0.2))
    floor_colours = green if outdoors and rng.random() < 0.7 else sample_colour_pair(rng, 0.45)
    wall_colours = ((0.16, 0.26, 0.12), (0.3, 0.4, 0.2)) if outdoors else sample_colour_pair(rng, 0.7)
    mat_colour = tuple(float(value) for value in rng.uniform(0.05, 0.9, 3))
    mat = (float(rng.uniform(0.4, 1.2)), float(rng.uniform(0.4, 1.2)), mat_colour) if rng.random() < 0.25 else None
    around = ((-4.0, -4.0), (4.0, 4.0)) if outdoors else (low, high)
    blocks = tuple(sample_block(rng, *around) for _ in range(int(rng.integers(0, 4 if outdoors else 12))))
    return Room(
        low,
        high,
        float(rng.uniform(2.4, 4)),
        floor,
        floor_colours,
        str(rng.choice(WALLS)),
        wall_colours,
        int(rng.integers(2**31)),
        mat,  # type: ignore[arg-type]
        outdoors,
        blocks,
    )
