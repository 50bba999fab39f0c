"""Heatmaps that a net should give: Gaussians (HRNet) or binary discs, drawn for a whole batch on its device.

Axes: B batch, K keypoints, H and W heatmap rows and columns.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Targets(NamedTuple):
    """What the loss compares with."""

    heatmaps_BKHW: Tensor
    """In [0, 1]; empty where the keypoint lies outside the crop."""
    labelled_BK: Tensor
    """1 where the position is known, be it inside the crop or not."""
    inside_BK: Tensor
    """1 where it is known and the heatmap has its peak."""


def _squared_distances(keypoints_BK3: Tensor, height: int, width: int, stride: float) -> tuple[Tensor, Tensor]:
    """Squared distance to each heatmap column (B, K, 1, W) and row (B, K, H, 1), in heatmap pixels."""
    centres_BK2 = (keypoints_BK3[..., :2] + 0.5) / stride - 0.5
    columns = torch.arange(width, device=keypoints_BK3.device, dtype=torch.float32)
    rows = torch.arange(height, device=keypoints_BK3.device, dtype=torch.float32)
    dx = (columns - centres_BK2[..., 0:1]).square()[..., None, :]
    dy = (rows - centres_BK2[..., 1:2]).square()[..., :, None]
    return dx, dy


def _targets(heatmaps_BKHW: Tensor, keypoints_BK3: Tensor, height: int, width: int, stride: float) -> Targets:
    labelled_BK = keypoints_BK3[..., 2]
    x, y = keypoints_BK3[..., 0], keypoints_BK3[..., 1]
    inside = (x >= -0.5) & (y >= -0.5) & (x <= width * stride - 0.5) & (y <= height * stride - 0.5)
    inside_BK = labelled_BK * inside
    return Targets(heatmaps_BKHW * inside_BK[..., None, None], labelled_BK, inside_BK)


def gaussian_targets(keypoints_BK3: Tensor, height: int, width: int, stride: float, sigma: float) -> Targets:
    """Gaussians of peak 1 and standard deviation `sigma` heatmap pixels, centred with sub-pixel accuracy."""
    dx, dy = _squared_distances(keypoints_BK3, height, width, stride)
    scale = -1 / (2 * sigma**2)
    return _targets(torch.exp(dx * scale) * torch.exp(dy * scale), keypoints_BK3, height, width, stride)


def disc_targets(keypoints_BK3: Tensor, height: int, width: int, stride: float, radius: float) -> Targets:
    """Ones within `radius` input pixels of the keypoint, zeros elsewhere."""
    dx, dy = _squared_distances(keypoints_BK3, height, width, stride)
    return _targets(((dx + dy) <= (radius / stride) ** 2).float(), keypoints_BK3, height, width, stride)
