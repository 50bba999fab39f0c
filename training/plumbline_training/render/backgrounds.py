"""The user's own photographs as what is behind the people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from plumbline_training.render.camera import Camera
from plumbline_training.render.errors import InvalidRequest
from plumbline_training.render.raster import Array

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
FLOOR_METRES = 12.0


def photographs(folder: Path) -> tuple[Path, ...]:
    """The photographs in a folder, by name. Raises InvalidRequest when there are none or one can't be read."""
    if not folder.is_dir():
        raise InvalidRequest(f"--backgrounds {str(folder)!r} is no folder; name one that holds photographs")
    found = tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES))
    if not found:
        raise InvalidRequest(f"--backgrounds {str(folder)!r} holds no photographs (.jpg, .png, .webp, .bmp)")
    return found


def backdrop(path: Path, camera: Camera, rng: np.random.Generator) -> Array:
    """A random part of a photograph as linear light, and where a floor at height 0 would be, (H, W, 4)."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise InvalidRequest(f"--backgrounds: {str(path)!r} cannot be decoded; remove it or fetch it again")
    height, width = picture.shape[:2]
    share = float(rng.uniform(0.55, 1.0)) * min(height / camera.height, width / camera.width)
    tall, wide = max(1, int(share * camera.height)), max(1, int(share * camera.width))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    part = picture[top : top + tall, left : left + wide]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    size = (camera.width, camera.height)
    fitted = cv2.resize(part, size, interpolation=cv2.INTER_AREA if share > 1 else cv2.INTER_LINEAR)
    linear = (fitted[..., ::-1].astype(np.float32) / 255) ** 2.2 * float(rng.uniform(0.7, 1.3))
    rays = camera.rays()
    falling = np.maximum(-rays[..., 2], 1e-6)
    floor = (rays[..., 2] < 0) & (camera.position[2] / falling < FLOOR_METRES)
    return np.concatenate([linear, floor[..., None]], axis=2).astype(np.float32)
