"""Pictures of nobody, so that a net learns to say so: parts of a picture beside its people, and drawn signs."""

from __future__ import annotations

import string
from collections.abc import Sequence

import cv2
import numpy as np

from plumbline_contract.box import Box
from plumbline_contract.preprocess import Image, extract_crop

MAX_OVERLAP = 0.05
"""Share of a person's box, or of the picture of nobody where that is smaller, that may lie in both."""
ATTEMPTS = 10


def background_crop(
    image_bgr_HW3: Image, persons: Sequence[Box], height: int, width: int, generator: np.random.Generator
) -> Image | None:
    """An RGB crop (height, width, 3) from beside all persons (upright boxes), or None when no place was found."""
    image_height, image_width = image_bgr_HW3.shape[:2]
    for _ in range(ATTEMPTS):
        side = generator.uniform(0.2, 0.9) * image_height
        box = Box(
            float(generator.uniform(0, image_width)),
            float(generator.uniform(0, image_height)),
            side * width / height,
            side,
        )
        if all(_overlap(box, person) <= MAX_OVERLAP for person in persons):
            return extract_crop(image_bgr_HW3, box, height, width)[0]
    return None


def _overlap(box: Box, person: Box) -> float:
    """The share of the smaller box that lies in the other: a small crop covers little of a crowd that fills it."""
    across = (box.width + person.width) / 2 - abs(box.centre_x - person.centre_x)
    down = (box.height + person.height) / 2 - abs(box.centre_y - person.centre_y)
    across, down = min(across, box.width, person.width), min(down, box.height, person.height)
    smaller = min(box.width * box.height, person.width * person.height)
    return max(0.0, across) * max(0.0, down) / smaller


def drawn_sign(height: int, width: int, generator: np.random.Generator) -> Image:
    """Shapes and letters on a plain or graded ground, as title cards, logos and furniture have them: RGB (H, W, 3)."""
    first, second = generator.integers(0, 256, (2, 3))
    blend = np.linspace(0, float(generator.random() < 0.5), height)[:, None, None]
    picture = np.broadcast_to(first * (1 - blend) + second * blend, (height, width, 3)).astype(np.uint8).copy()
    for _ in range(int(generator.integers(1, 12))):
        colour = generator.integers(0, 256, 3).tolist()
        x, y = int(generator.integers(0, width)), int(generator.integers(0, height))
        size = int(generator.integers(3, max(4, width // 2)))
        kind, thickness = int(generator.integers(4)), int(generator.choice([-1, 1, 2, 4]))
        if kind == 0:
            cv2.rectangle(picture, (x, y), (x + size, y + int(size * generator.uniform(0.2, 3))), colour, thickness)
        elif kind == 1:
            cv2.circle(picture, (x, y), size // 2, colour, thickness)
        elif kind == 2:
            cv2.line(picture, (x, y), tuple(generator.integers(0, width, 2).tolist()), colour, abs(thickness))
        else:
            text = "".join(generator.choice(list(string.ascii_letters + string.digits), int(generator.integers(2, 9))))
            font = int(generator.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
            cv2.putText(picture, text, (x - size, y), font, float(size / 30), colour, max(1, thickness))
    return picture
