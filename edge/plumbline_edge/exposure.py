"""Dark crops made lighter before the network sees them.

In a dim room the network's scores fall below what following a person needs. A gamma curve that lifts the mean of what
is lit keeps shapes and loses no shade. Axes: H and W rows and columns.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.preprocess import Image

DARK_BELOW: Final = 65.0
"""Mean of 255 below which a crop is lifted, and to which: on a dark clip of push-ups, of 50, 65 and 80 the best."""
UNLIT: Final = 4.0
"""Darker pixels are borders, or say nothing."""
MIN_GAMMA: Final = 0.4
"""A stronger curve shows little but the sensor's noise."""
STEP: Final = 4
"""Every fourth row and column tells the mean well enough."""
MIN_LIT_PIXELS: Final = 50
SHADES: Final[npt.NDArray[np.float64]] = np.arange(256) / 255


def lift_dark(crop_rgb_HW3: Image) -> Image:
    """The crop (H, W, 3), uint8, lighter where it is dark; the same object where it is not."""
    luma = crop_rgb_HW3[::STEP, ::STEP].mean(axis=2)
    lit = luma[luma > UNLIT]
    if lit.size < MIN_LIT_PIXELS or (mean := float(lit.mean())) >= DARK_BELOW:
        return crop_rgb_HW3
    gamma = max(math.log(DARK_BELOW / 255) / math.log(mean / 255), MIN_GAMMA)
    curve = (255 * SHADES**gamma).round().astype(np.uint8)
    return np.asarray(cv2.LUT(crop_rgb_HW3, curve), np.uint8)
