"""Heatmaps that a net should give: Gaussians (HRNet) or binary discs, drawn for a whole batch on its device.

Axes: B batch, K keypoints, H and W heatmap rows and columns.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from plumbline_contract.decode import Alignment


class Targets(NamedTuple):
    """What the loss compares with."""

    heatmaps_BKHW: Tensor
    """In [0, 1]; empty where the keypoint lies outside the crop."""
    labelled_BK: Tensor
    """1 where the position is known, be it inside the crop or not."""
    inside_BK: Tensor
    """1 where it is known and the heatmap has its peak."""
    points_BK2: Tensor
    """x, y in heatmap pixels."""


def heatmap_points(points_BK2: Tensor, stride: float, alignment: Alignment) -> Tensor:
    """Crop pixels to heatmap pixels.

    With 'corner' to the nearest whole one, as the HRNet authors draw their Gaussians.
    """
    if alignment == "corner":
        return torch.floor(points_BK2 / stride + 0.5)
    return (points_BK2 + 0.5) / stride - 0.5


def _squared_distances(points_BK2: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Squared distance to each heatmap column (B, K, 1, W) and row (B, K, H, 1), in heatmap pixels."""
    columns = torch.arange(width, device=points_BK2.device, dtype=torch.float32)
    rows = torch.arange(height, device=points_BK2.device, dtype=torch.float32)
    dx = (columns - points_BK2[..., 0:1]).square()[..., None, :]
    dy = (rows - points_BK2[..., 1:2]).square()[..., :, None]
    return dx, dy


def _targets(heatmaps_BKHW: Tensor, keypoints_BK3: Tensor, points_BK2: Tensor, stride: float) -> Targets:
    labelled_BK = keypoints_BK3[..., 2]
    x, y = keypoints_BK3[..., 0], keypoints_BK3[..., 1]
    height, width = heatmaps_BKHW.shape[2:]
    inside = (x >= -0.5) & (y >= -0.5) & (x <= width * stride - 0.5) & (y <= height * stride - 0.5)
    inside_BK = labelled_BK * inside
    return Targets(heatmaps_BKHW * inside_BK[..., None, None], labelled_BK, inside_BK, points_BK2)


def gaussian_targets(
    keypoints_BK3: Tensor, height: int, width: int, stride: float, sigma: float, alignment: Alignment = "centre"
) -> Targets:
    """Gaussians of peak 1 and standard deviation `sigma` heatmap pixels; keypoints in crop pixels."""
    points_BK2 = heatmap_points(keypoints_BK3[..., :2], stride, alignment)
    dx, dy = _squared_distances(points_BK2, height, width)
    scale = -1 / (2 * sigma**2)
    return _targets(torch.exp(dx * scale) * torch.exp(dy * scale), keypoints_BK3, points_BK2, stride)


def disc_targets(
    keypoints_BK3: Tensor, height: int, width: int, stride: float, radius: float, alignment: Alignment = "centre"
) -> Targets:
    """Ones within `radius` input pixels of the keypoint, zeros elsewhere."""
    points_BK2 = heatmap_points(keypoints_BK3[..., :2], stride, alignment)
    dx, dy = _squared_distances(points_BK2, height, width)
    return _targets(((dx + dy) <= (radius / stride) ** 2).float(), keypoints_BK3, points_BK2, stride)
