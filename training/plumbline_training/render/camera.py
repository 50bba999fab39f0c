"""A pinhole camera that stands anywhere and looks at a point, and the rays through its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from plumbline_training.render.pose import Rotation, Vector, rotation, unit
from plumbline_training.render.raster import Array


@dataclass(frozen=True)
class Camera:
    """Position and aim in metres, vertical field of view and roll in degrees, picture size in pixels."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fov_degrees: float
    height: int
    width: int
    roll_degrees: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    """Moves the picture by this share of its width and height."""

    @cached_property
    def axes(self) -> Rotation:
        """Rows: the camera's right, down and forward in world axes."""
        forward = unit(np.subtract(self.target, self.position))
        right = unit(np.cross(forward, (0.0, 0.0, 1.0)))
        axes = np.stack([right, np.cross(forward, right), forward])
        return rotation((0, 0, 1), self.roll_degrees) @ axes

    @property
    def focal_pixels(self) -> float:
        """Focal length in pixels."""
        return self.height / 2 / math.tan(math.radians(self.fov_degrees) / 2)

    @property
    def centre(self) -> tuple[float, float]:
        """The principal point in pixels."""
        return ((self.width - 1) / 2 + self.shift[0] * self.width, (self.height - 1) / 2 + self.shift[1] * self.height)

    def scaled(self, factor: int) -> Camera:
        """The same view with `factor` times the pixels in each axis."""
        return Camera(
            self.position,
            self.target,
            self.fov_degrees,
            self.height * factor,
            self.width * factor,
            self.roll_degrees,
            self.shift,
        )

    def project(self, points_N3: Array) -> Array:
        """World points to (x, y, depth): pixels and metres along the view."""
        local = (points_N3 - np.asarray(self.position, np.float32)) @ self.axes.T.astype(np.float32)
        depth = np.maximum(local[:, 2:], 1e-6)
        xy = local[:, :2] / depth * self.focal_pixels + np.asarray(self.centre, np.float32)
        return np.asarray(np.concatenate([xy, local[:, 2:]], axis=1), dtype=np.float32)

    def rays(self) -> Array:
        """World direction through each pixel, (H, W, 3), with unit depth along the view."""
        x = (np.arange(self.width) - self.centre[0]) / self.focal_pixels
        y = (np.arange(self.height) - self.centre[1]) / self.focal_pixels
        local = np.stack([*np.meshgrid(x, y), np.ones((self.height, self.width))], axis=2)
        return np.asarray(local @ self.axes, dtype=np.float32)


def orbit(
    target: Vector, distance: float, azimuth_degrees: float, elevation_degrees: float
) -> tuple[float, float, float]:
    """A position around the target: azimuth 0 faces a person who looks along -y, 90 sees their left side."""
    azimuth, elevation = math.radians(azimuth_degrees), math.radians(elevation_degrees)
    flat = distance * math.cos(elevation)
    x, y, z = target
    return (
        float(x + flat * math.sin(azimuth)),
        float(y - flat * math.cos(azimuth)),
        float(z + distance * math.sin(elevation)),
    )
