"""What a real camera does to a picture: focus, motion, small sensors, noise, white balance, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]


def expose(picture_rgb: Picture, rng: np.random.Generator) -> Picture:
    """Random exposure, contrast, white balance, blur and noise; the geometry stays as it is."""
    image: npt.NDArray[np.float32] = np.asarray(picture_rgb / 255, dtype=np.float32)
    gain = np.exp(rng.normal(0, 0.18) + rng.normal(0, 0.05, 3)).astype(np.float32)
    image = np.asarray(np.clip(image * gain, 0, 1) ** float(np.exp(rng.normal(0, 0.15))), dtype=np.float32)
    noise = float(rng.uniform(0.002, 0.035))
    if rng.random() < 0.12:
        image, noise = np.asarray(image * np.float32(rng.uniform(0.25, 0.6))), float(rng.uniform(0.02, 0.06))
    kind = rng.random()
    if kind < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6))).astype(np.float32)
    elif kind < 0.47:
        image = motion_blur(image, int(rng.integers(3, 12)), float(rng.uniform(0, 180)))
    elif kind < 0.65:
        image = coarse(image, float(rng.uniform(0.2, 0.8)))
    image = image + np.float32(noise) * rng.standard_normal(image.shape, np.float32)
    return np.asarray(np.clip(image * 255, 0, 255).round(), dtype=np.uint8)


def coarse(image: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
    """The picture as a sensor with so much of its width would have taken it, at the size it has."""
    height, width = image.shape[:2]
    # A size and not a share: both ways by the same factor, or the picture would move against its labels.
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def motion_blur(image: npt.NDArray[np.float32], length: int, angle_degrees: float) -> npt.NDArray[np.float32]:
    """Smears the picture along a line of `length` pixels, an odd number: an even one would move it by a half."""
    length |= 1
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0 / length
    centre = ((length - 1) / 2, (length - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, angle_degrees, 1.0)
    turned = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), dtype=np.float32)
    return np.asarray(cv2.filter2D(image, -1, turned / np.float32(turned.sum())), dtype=np.float32)


def jpeg(picture_rgb: Picture, quality: int) -> bytes:
    """The picture as JPEG bytes."""
    done, data = cv2.imencode(".jpg", picture_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV encodes every 8-bit picture"
    return bytes(data.tobytes())


@dataclass(frozen=True)
class Film:
    """What a camera does to all frames of a clip alike; the noise is new in each."""

    gain: tuple[float, float, float]
    gamma: float
    blur: float
    noise: float

    def apply(self, picture_rgb: Picture, rng: np.random.Generator) -> Picture:
        """The frame as this camera records it."""
        image = np.clip(picture_rgb.astype(np.float32) / 255 * np.array(self.gain, np.float32), 0, 1) ** self.gamma
        if self.blur > 0.3:
            image = cv2.GaussianBlur(image, (0, 0), self.blur).astype(np.float32)
        image = image + np.float32(self.noise) * rng.standard_normal(image.shape, np.float32)
        return np.asarray(np.clip(image * 255, 0, 255).round(), dtype=np.uint8)


def sample_film(rng: np.random.Generator) -> Film:
    """From a sharp camera in good light to a cheap one in a dim room."""
    dim = rng.random() < 0.12
    red, green, blue = np.exp(rng.normal(-0.9 if dim else 0.0, 0.15) + rng.normal(0, 0.05, 3))
    noise = float(rng.uniform(0.015, 0.04) if dim else rng.uniform(0.002, 0.02))
    gamma, blur = float(np.exp(rng.normal(0, 0.12))), float(rng.choice([0.0, rng.uniform(0.4, 1.3)]))
    return Film((float(red), float(green), float(blue)), gamma, blur, noise)
