"""Slow references for decoding and cropping: plain loops, written from the definitions alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float64]


def peak(values_HW: Map) -> tuple[int, int]:
    """Row and column of the first largest value, reading row by row."""
    best = (0, 0)
    for row in range(values_HW.shape[0]):
        for column in range(values_HW.shape[1]):
            if values_HW[row, column] > values_HW[best]:
                best = (row, column)
    return best


def argmax_quarter(values_HW: Map) -> tuple[float, float, float]:
    """The peak, and a quarter of a pixel towards the larger neighbour in x and in y, unless at the border."""
    height, width = values_HW.shape
    row, column = peak(values_HW)
    x, y = float(column), float(row)
    if 0 < column < width - 1:
        left, right = values_HW[row, column - 1], values_HW[row, column + 1]
        x += 0.25 if right > left else -0.25 if right < left else 0.0
    if 0 < row < height - 1:
        above, below = values_HW[row - 1, column], values_HW[row + 1, column]
        y += 0.25 if below > above else -0.25 if below < above else 0.0
    return x, y, float(values_HW[row, column])


def blurred(values_HW: Map, sigma: float, radius: int) -> Map:
    """Convolution with a normalised Gaussian of (2 radius + 1)^2 samples; outside the map is zero."""
    height, width = values_HW.shape
    offsets = range(-radius, radius + 1)
    weights = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in offsets]
    total = sum(weights)
    result = np.zeros_like(values_HW)
    for row in range(height):
        for column in range(width):
            for down, weight_y in zip(offsets, weights, strict=True):
                for right, weight_x in zip(offsets, weights, strict=True):
                    if 0 <= row + down < height and 0 <= column + right < width:
                        value = values_HW[row + down, column + right]
                        result[row, column] += value * weight_x * weight_y / total**2
    return result


def dark(values_HW: Map, sigma: float) -> tuple[float, float, float]:
    """Mean = maximum - inverse(Hessian) gradient, of the logarithm of the blurred map (DARK, equations 4 to 9)."""
    row, column = peak(values_HW)
    x, y = taylor_step(blurred(values_HW, sigma, round(2.5 * sigma)), row, column)
    return x, y, float(values_HW[row, column])


def smoothed(values_HW: Map, sigma: float) -> tuple[float, float, float]:
    """The same step from the peak of the blurred map, whose border is repeated outwards."""
    radius = round(3 * sigma)
    smooth = blurred(np.pad(values_HW, radius, mode="edge"), sigma, radius)[radius:-radius, radius:-radius]
    row, column = peak(smooth)
    x, y = taylor_step(smooth, row, column)
    return x, y, float(values_HW.max())


def taylor_step(smooth: Map, row: int, column: int) -> tuple[float, float]:
    """From a peak to the maximum of the parabola through the logarithms around it."""
    height, width = smooth.shape
    if row in (0, height - 1) or column in (0, width - 1):
        return float(column), float(row)

    def log(down: int, right: int) -> float:
        return math.log(max(smooth[row + down, column + right], 1e-10))

    gradient = np.array([(log(0, 1) - log(0, -1)) / 2, (log(1, 0) - log(-1, 0)) / 2])
    xx, yy = log(0, 1) - 2 * log(0, 0) + log(0, -1), log(1, 0) - 2 * log(0, 0) + log(-1, 0)
    xy = (log(1, 1) - log(1, -1) - log(-1, 1) + log(-1, -1)) / 4
    hessian = np.array([[xx, xy], [xy, yy]])
    if np.linalg.eigvalsh(hessian).max() >= 0 or np.linalg.det(hessian) <= 1e-10:
        return float(column), float(row)
    step = np.clip(-np.linalg.inv(hessian) @ gradient, -1, 1)
    return column + float(step[0]), row + float(step[1])


def soft_argmax(values_HW: Map) -> tuple[float, float, float]:
    """The expected place under the softmax of the map (integral regression), and its largest probability."""
    largest = float(values_HW.max())
    total = x = y = 0.0
    for row in range(values_HW.shape[0]):
        for column in range(values_HW.shape[1]):
            weight = math.exp(values_HW[row, column] - largest)
            total, x, y = total + weight, x + weight * column, y + weight * row
    return x / total, y / total, 1.0 / total


def blob(values_HW: Map) -> tuple[float, float, float]:
    """The centroid of what is connected (in eight directions) to the peak at half its height, weighted by value."""
    height, width = values_HW.shape
    start = peak(values_HW)
    score = float(values_HW[start])
    if score <= 0:
        return float(start[1]), float(start[0]), score
    region, waiting = {start}, [start]
    while waiting:
        row, column = waiting.pop()
        for near in [(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]:
            inside = 0 <= near[0] < height and 0 <= near[1] < width
            if inside and near not in region and values_HW[near] >= score / 2:
                region.add(near)
                waiting.append(near)
    total = sum(values_HW[place] for place in region)
    x = sum(values_HW[place] * place[1] for place in region) / total
    y = sum(values_HW[place] * place[0] for place in region) / total
    return float(x), float(y), score


def crop(
    image_HW3: npt.NDArray[np.uint8],
    centre: Sequence[float],
    size: Sequence[float],
    angle_degrees: float,
    crop_height: int,
    crop_width: int,
) -> npt.NDArray[np.float64]:
    """A box cut out of a picture by asking, for every pixel of the crop, where it lies; bilinear, black outside.

    The box is a rectangle around a centre, turned clockwise, and grown to the crop's aspect.
    """
    box_width = max(size[0], size[1] * crop_width / crop_height)
    scale = box_width / crop_width
    cosine, sine = math.cos(math.radians(angle_degrees)), math.sin(math.radians(angle_degrees))
    result = np.zeros((crop_height, crop_width, 3))
    for row in range(crop_height):
        for column in range(crop_width):
            right = (column + 0.5 - crop_width / 2) * scale
            down = (row + 0.5 - crop_height / 2) * scale
            x = centre[0] + right * cosine - down * sine
            y = centre[1] + right * sine + down * cosine
            result[row, column] = bilinear(image_HW3, x, y)
    return result


def bilinear(image_HW3: npt.NDArray[np.uint8], x: float, y: float) -> npt.NDArray[np.float64]:
    """The four pixels around a place, weighted by nearness; pixels outside the picture are black."""
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(3)
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < image_HW3.shape[0] and 0 <= column < image_HW3.shape[1]:
                value += weight_x * weight_y * image_HW3[row, column]
    return value
