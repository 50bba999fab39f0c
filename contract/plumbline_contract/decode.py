"""From heatmaps to keypoints: argmax with a quarter offset, DARK, DARK on smoothed maps, soft-argmax, blob centroid.

Axes: B any leading batch axes, K keypoints, H and W heatmap rows and columns. Each decoder takes (..., K, H, W) and
returns (..., K, 3): x, y in heatmap pixels and a score. `to_image` carries them into the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.box import invert_affine, transform_points

Heatmaps = npt.NDArray[np.floating]
Keypoints = npt.NDArray[np.float32]
DecodeMethod = Literal["argmax", "dark", "smoothed", "soft_argmax", "blob"]
Alignment = Literal["centre", "corner"]
"""How heatmap pixels lie over the crop's. 'centre': a heatmap pixel's centre is that of the `stride` crop pixels it
covers, so that a mirrored crop gives mirrored heatmaps (unbiased, as in Huang et al., CVPR 2020). 'corner': heatmap
pixel j is crop pixel `stride` * j, as in the HRNet authors' release; a mirrored heatmap is then off by up to one
pixel."""

DARK_BLUR_SIGMA: Final[float] = 2.0
"""Standard deviation in heatmap pixels of the blur before the Taylor step (kernel 11 for a target sigma of 2)."""
SMOOTHED_SIGMA: Final[float] = 1.75
"""Standard deviation in heatmap pixels of the smoothing before the peak is sought: of 1, 1.25, 1.5, 1.75 and 2 the one
with the best AP of hrnet-edge-s 0.3.0 on the COCO pictures it learnt from and on sports pictures kept from it."""


def _peaks(maps_NHW: Heatmaps) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.floating]]:
    """Column, row and value of each map's first maximum."""
    flat = maps_NHW.reshape(len(maps_NHW), -1)
    index = flat.argmax(axis=1)
    row, column = np.divmod(index, maps_NHW.shape[2])
    return column, row, flat[np.arange(len(flat)), index]


def _neighbour(
    maps_NHW: Heatmaps, row: npt.NDArray[np.intp], column: npt.NDArray[np.intp]
) -> Callable[[int, int], npt.NDArray[np.floating]]:
    """A look-up of the value `(down, right)` pixels from each peak, repeated at the border."""
    height, width = maps_NHW.shape[1:]
    item = np.arange(len(maps_NHW))

    def at(down: int, right: int) -> npt.NDArray[np.floating]:
        rows, columns = np.clip(row + down, 0, height - 1), np.clip(column + right, 0, width - 1)
        return np.asarray(maps_NHW[item, rows, columns])

    return at


def decode_argmax(heatmaps_BKHW: Heatmaps) -> Keypoints:
    """The maximum, moved a quarter pixel towards the higher neighbour in each axis (HRNet's post-processing)."""
    maps = heatmaps_BKHW.reshape(-1, *heatmaps_BKHW.shape[-2:])
    column, row, score = _peaks(maps)
    at = _neighbour(maps, row, column)
    inside_x = (column > 0) & (column < maps.shape[2] - 1)
    inside_y = (row > 0) & (row < maps.shape[1] - 1)
    x = column + 0.25 * np.sign(at(0, 1) - at(0, -1)) * inside_x
    y = row + 0.25 * np.sign(at(1, 0) - at(-1, 0)) * inside_y
    return _assemble(x, y, score, heatmaps_BKHW)


def decode_dark(heatmaps_BKHW: Heatmaps, blur_sigma: float = DARK_BLUR_SIGMA) -> Keypoints:
    """DARK: a second-order Taylor step on the logarithm of the blurred heatmap (Zhang et al., CVPR 2020, eq. 9).

    The step is taken where the Hessian is negative definite and the peak is off the border, and never exceeds a pixel.
    """
    maps = heatmaps_BKHW.reshape(-1, *heatmaps_BKHW.shape[-2:])
    column, row, score = _peaks(maps)
    return _refined(_blurred_around(maps, row, column, blur_sigma), row, column, score, heatmaps_BKHW)


def decode_smoothed(heatmaps_BKHW: Heatmaps) -> Keypoints:
    """The peak of the map smoothed by a Gaussian, and DARK's step there; the score is the map's own maximum.

    The maps of a net that has learnt little are ragged: the highest pixel moves about in a hill, and a lone spike may
    stand higher than the hill where most of the mass is.
    """
    maps = heatmaps_BKHW.reshape(-1, *heatmaps_BKHW.shape[-2:]).astype(np.float32)
    height, width = maps.shape[1:]
    smooth = _smoothing(height, SMOOTHED_SIGMA) @ maps @ _smoothing(width, SMOOTHED_SIGMA).T
    column, row, _ = _peaks(smooth)
    at = _neighbour(smooth, row, column)
    around_N33 = np.stack([np.stack([at(down, right) for right in (-1, 0, 1)], -1) for down in (-1, 0, 1)], 1)
    return _refined(around_N33, row, column, maps.max(axis=(1, 2)), heatmaps_BKHW)


@cache
def _smoothing(size: int, sigma: float) -> npt.NDArray[np.float32]:
    """A Gaussian blur of one axis as a matrix (size, size); beyond the border its values are repeated."""
    radius = round(3 * sigma)
    kernel = cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_32F)[:, 0]
    matrix = np.zeros((size, size), dtype=np.float32)
    for offset, weight in zip(range(-radius, radius + 1), kernel, strict=True):
        matrix[np.arange(size), np.clip(np.arange(size) + offset, 0, size - 1)] += weight
    return matrix


def _refined(
    values_N33: Heatmaps,
    row_N: npt.NDArray[np.intp],
    column_N: npt.NDArray[np.intp],
    score_N: npt.NDArray[np.floating],
    like_BKHW: Heatmaps,
) -> Keypoints:
    """Peaks moved by a Taylor step on the logarithm of the values around them."""
    log_N33 = np.log(np.maximum(values_N33, 1e-10))
    centre = log_N33[:, 1, 1]
    gradient_x, gradient_y = (log_N33[:, 1, 2] - log_N33[:, 1, 0]) / 2, (log_N33[:, 2, 1] - log_N33[:, 0, 1]) / 2
    hessian_xx = log_N33[:, 1, 2] - 2 * centre + log_N33[:, 1, 0]
    hessian_yy = log_N33[:, 2, 1] - 2 * centre + log_N33[:, 0, 1]
    hessian_xy = (log_N33[:, 2, 2] - log_N33[:, 2, 0] - log_N33[:, 0, 2] + log_N33[:, 0, 0]) / 4
    determinant = hessian_xx * hessian_yy - hessian_xy**2
    height, width = like_BKHW.shape[-2:]
    border = (column_N == 0) | (row_N == 0) | (column_N == width - 1) | (row_N == height - 1)
    usable = (determinant > 1e-10) & (hessian_xx < 0) & ~border
    safe = np.where(usable, determinant, 1.0)
    step_x = np.where(usable, (hessian_xy * gradient_y - hessian_yy * gradient_x) / safe, 0.0)
    step_y = np.where(usable, (hessian_xy * gradient_x - hessian_xx * gradient_y) / safe, 0.0)
    return _assemble(column_N + np.clip(step_x, -1, 1), row_N + np.clip(step_y, -1, 1), score_N, like_BKHW)


def _blurred_around(
    maps_NHW: Heatmaps, row_N: npt.NDArray[np.intp], column_N: npt.NDArray[np.intp], sigma: float
) -> npt.NDArray[np.float32]:
    """Each map, zeros around it, blurred by a Gaussian: the (N, 3, 3) pixels around one of its pixels.

    Only these are computed, as a product with the kernel at three offsets from either side.
    """
    radius = max(1, round(2.5 * sigma))
    margin, size = radius + 1, 2 * radius + 3
    count, height, width = maps_NHW.shape
    padded = np.zeros((count, height + 2 * margin, width + 2 * margin), dtype=np.float32)
    padded[:, margin:-margin, margin:-margin] = maps_NHW
    offsets = np.arange(size)
    rows, columns = row_N[:, None, None] + offsets[:, None], column_N[:, None, None] + offsets
    patches_NPP = padded[np.arange(count)[:, None, None], rows, columns]
    return np.asarray(_shifted_kernels(radius, sigma) @ patches_NPP @ _shifted_kernels(radius, sigma).T)


@cache
def _shifted_kernels(radius: int, sigma: float) -> npt.NDArray[np.float32]:
    """A Gaussian of 2 radius + 1 pixels at three places, one pixel apart: (3, 2 radius + 3)."""
    kernel = cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_32F)[:, 0]
    return np.stack([np.pad(kernel, (shift, 2 - shift)) for shift in range(3)])


def decode_soft_argmax(heatmaps_BKHW: Heatmaps) -> Keypoints:
    """The expectation under the softmax of the map (integral regression, Sun et al., ECCV 2018); takes logits.

    The score is the largest probability.
    """
    maps = heatmaps_BKHW.reshape(-1, *heatmaps_BKHW.shape[-2:]).astype(np.float64)
    weights = np.exp(maps - maps.max(axis=(1, 2), keepdims=True))
    weights /= weights.sum(axis=(1, 2), keepdims=True)
    x = weights.sum(axis=1) @ np.arange(maps.shape[2])
    y = weights.sum(axis=2) @ np.arange(maps.shape[1])
    return _assemble(x, y, weights.max(axis=(1, 2)), heatmaps_BKHW)


def decode_blob(heatmaps_BKHW: Heatmaps) -> Keypoints:
    """The weighted centroid of the connected region at half the peak or above that holds the peak (disc targets)."""
    maps = heatmaps_BKHW.reshape(-1, *heatmaps_BKHW.shape[-2:])
    column, row, score = _peaks(maps)
    x, y = column.astype(np.float64), row.astype(np.float64)
    for item, values_HW in enumerate(maps):
        if score[item] <= 0:
            continue
        _, labels_HW = cv2.connectedComponents((values_HW >= score[item] / 2).astype(np.uint8), connectivity=8)
        rows, columns = np.nonzero(labels_HW == labels_HW[row[item], column[item]])
        weights = values_HW[rows, columns]
        x[item], y[item] = np.average(columns, weights=weights), np.average(rows, weights=weights)
    return _assemble(x, y, score, heatmaps_BKHW)


def _assemble(
    x: npt.NDArray[np.floating], y: npt.NDArray[np.floating], score: npt.NDArray[np.floating], like_BKHW: Heatmaps
) -> Keypoints:
    return np.stack([x, y, score], axis=-1).astype(np.float32).reshape(*like_BKHW.shape[:-2], 3)


DECODERS: Final[dict[DecodeMethod, Callable[[Heatmaps], Keypoints]]] = {
    "argmax": decode_argmax,
    "dark": decode_dark,
    "smoothed": decode_smoothed,
    "soft_argmax": decode_soft_argmax,
    "blob": decode_blob,
}


def heatmap_to_input(
    points_N2: npt.NDArray[np.floating], stride: float, alignment: Alignment = "centre"
) -> npt.NDArray[np.floating]:
    """Heatmap pixels to crop pixels."""
    if alignment == "corner":
        return points_N2 * stride
    return (points_N2 + 0.5) * stride - 0.5


def to_image(
    keypoints_K3: Keypoints, stride: float, matrix_23: npt.NDArray[np.floating], alignment: Alignment = "centre"
) -> Keypoints:
    """Keypoints (..., 3) in heatmap pixels as image pixels; `matrix_23` is the one `extract_crop` returned."""
    points = heatmap_to_input(keypoints_K3[..., :2].astype(np.float64), stride, alignment)
    image_points = transform_points(invert_affine(matrix_23), points)
    return np.concatenate([image_points, keypoints_K3[..., 2:]], axis=-1).astype(np.float32)


def decode(
    heatmaps_KHW: Heatmaps,
    method: DecodeMethod,
    stride: float,
    matrix_23: npt.NDArray[np.floating],
    alignment: Alignment = "centre",
) -> Keypoints:
    """Heatmaps (K, H, W) of one crop -> keypoints (K, 3): x, y in image pixels and a score."""
    return to_image(DECODERS[method](heatmaps_KHW), stride, matrix_23, alignment)
