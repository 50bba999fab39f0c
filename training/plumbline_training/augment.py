"""What happens to a training crop: where the box lies, and what the picture looks like. Driven by one generator."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.box import Box, box_from_keypoints
from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import MIRROR, Keypoint
from plumbline_training.config import Augmentation

HALF_BODY_MINIMUM = 3
"""Labelled joints that a half must have to be cropped to."""


def random_box(
    box: Box, keypoints_K3: npt.NDArray[np.float32], settings: Augmentation, generator: np.random.Generator
) -> Box:
    """The box moved, scaled, turned, or replaced by that of half the body."""
    if generator.random() < settings.half_body_probability:
        box = _half_body(keypoints_K3, settings.half_body_padding, generator) or box
    scale = 1 + settings.scale * float(np.clip(generator.normal(0, settings.scale_spread), -1, 1))
    shift_x, shift_y = settings.shift * generator.uniform(-1, 1, 2)
    angle = 0.0
    if generator.random() < settings.rotation_probability:
        angle = settings.rotation_degrees * float(np.clip(generator.normal(0, 0.5), -1, 1))
    centre_x, centre_y = box.centre_x + float(shift_x) * box.width, box.centre_y + float(shift_y) * box.height
    return Box(centre_x, centre_y, box.width * scale, box.height * scale, box.angle_degrees + angle)


def _half_body(keypoints_K3: npt.NDArray[np.float32], padding: float, generator: np.random.Generator) -> Box | None:
    halves = [keypoints_K3[: Keypoint.LEFT_HIP], keypoints_K3[Keypoint.LEFT_HIP :]]
    usable = [half for half in halves if (half[:, 2] > 0).sum() >= HALF_BODY_MINIMUM]
    if len(usable) < 2:
        return None
    box = box_from_keypoints(usable[int(generator.integers(2))])
    return None if box is None else box.padded(padding)


def mirror(crop_HW3: Image, keypoints_K3: npt.NDArray[np.float32]) -> tuple[Image, npt.NDArray[np.float32]]:
    """The crop and its keypoints (in crop pixels) as a mirror shows them, left and right exchanged."""
    flipped = keypoints_K3[list(MIRROR)].copy()
    flipped[:, 0] = crop_HW3.shape[1] - 1 - flipped[:, 0]
    return np.ascontiguousarray(crop_HW3[:, ::-1]), flipped


def random_look(crop_HW3: Image, settings: Augmentation, generator: np.random.Generator) -> Image:
    """Colours, sharpness and covered parts changed at random."""
    if settings.colour > 0:
        crop_HW3 = _recolour(crop_HW3, settings.colour, generator)
    if generator.random() < settings.blur_probability:
        crop_HW3 = _blur(crop_HW3, generator)
    if generator.random() < settings.cutout_probability:
        crop_HW3 = _cutout(crop_HW3, generator)
    return crop_HW3


def _recolour(crop_HW3: Image, strength: float, generator: np.random.Generator) -> Image:
    """One look-up table a channel: gamma, contrast, brightness and a tint; sometimes grey."""
    gamma = np.exp(generator.normal(0, 0.5 * strength))
    contrast = np.exp(generator.normal(0, 0.4 * strength))
    brightness = generator.normal(0, 0.2 * strength)
    tint_3 = np.exp(generator.normal(0, 0.2 * strength, 3))
    values = (np.linspace(0, 1, 256)[:, None] ** gamma - 0.5) * contrast + 0.5 + brightness
    table = np.clip(values * tint_3 * 255, 0, 255).astype(np.uint8)
    if generator.random() < 0.15 * strength:
        crop_HW3 = np.repeat(cv2.cvtColor(crop_HW3, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return np.asarray(cv2.LUT(crop_HW3, table[None]), dtype=np.uint8)


def _blur(crop_HW3: Image, generator: np.random.Generator) -> Image:
    height, width = crop_HW3.shape[:2]
    if generator.random() < 0.5:
        factor = generator.uniform(0.3, 0.8)
        small = cv2.resize(crop_HW3, (max(8, int(width * factor)), max(8, int(height * factor))))
        return np.asarray(cv2.resize(small, (width, height)), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(crop_HW3, (0, 0), generator.uniform(0.3, 1.5) * height / 256), dtype=np.uint8)


def _cutout(crop_HW3: Image, generator: np.random.Generator) -> Image:
    height, width = crop_HW3.shape[:2]
    size = np.array([height, width]) * generator.uniform(0.1, 0.35, 2)
    top, left = (generator.uniform(0, 1, 2) * (np.array([height, width]) - size)).astype(int)
    bottom, right = top + int(size[0]), left + int(size[1])
    covered = crop_HW3.copy()
    covered[top:bottom, left:right] = generator.integers(0, 256, 3, dtype=np.uint8)
    return covered
