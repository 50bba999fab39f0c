"""Losses between a net's logits and target heatmaps. Axes: B batch, K keypoints, H and W heatmap rows and columns.

Plain MSE first learns to predict nothing: nearly all of a heatmap is background. The focal loss weighs each pixel by
how wrong it is, and the spatial cross-entropy asks only where the peak is, so both learn from the first step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from plumbline_training.targets import Targets


def _per_labelled(loss_BKHW: Tensor, targets: Targets) -> Tensor:
    """The sum over pixels, averaged over labelled keypoints."""
    weighted = loss_BKHW.sum(dim=(2, 3)) * targets.labelled_BK
    return weighted.sum() / targets.labelled_BK.sum().clamp(min=1)


def mse_loss(heatmaps_BKHW: Tensor, targets: Targets) -> Tensor:
    """Half the mean squared error over the pixels of labelled keypoints inside the crop (HRNet's)."""
    error_BK = (heatmaps_BKHW - targets.heatmaps_BKHW).square().mean(dim=(2, 3))
    return 0.5 * (error_BK * targets.inside_BK).sum() / targets.inside_BK.sum().clamp(min=1)


def bce_loss(logits_BKHW: Tensor, targets: Targets) -> Tensor:
    """Binary cross-entropy a pixel."""
    loss = functional.binary_cross_entropy_with_logits(logits_BKHW, targets.heatmaps_BKHW, reduction="none")
    return _per_labelled(loss, targets)


def focal_loss(logits_BKHW: Tensor, targets: Targets) -> Tensor:
    """Cross-entropy weighted by the squared error (quality focal loss, Li et al., NeurIPS 2020, eq. 4, beta 2)."""
    loss = functional.binary_cross_entropy_with_logits(logits_BKHW, targets.heatmaps_BKHW, reduction="none")
    weight = (torch.sigmoid(logits_BKHW.detach()) - targets.heatmaps_BKHW).square()
    return _per_labelled(loss * weight, targets)


def spatial_loss(logits_BKHW: Tensor, targets: Targets) -> Tensor:
    """Cross-entropy between the softmax over a map's pixels and its target scaled to sum to one."""
    log_probability_BKP = functional.log_softmax(logits_BKHW.flatten(2), dim=-1)
    target_BKP = targets.heatmaps_BKHW.flatten(2)
    target_BKP = target_BKP / target_BKP.sum(dim=-1, keepdim=True).clamp(min=1e-6)
    loss_BK = -(target_BKP * log_probability_BKP).sum(dim=-1) * targets.inside_BK
    return loss_BK.sum() / targets.inside_BK.sum().clamp(min=1)


def expectation(logits_BKHW: Tensor) -> Tensor:
    """x, y in heatmap pixels (B, K, 2): the mean under the softmax of each map (soft-argmax)."""
    height, width = logits_BKHW.shape[2:]
    probability_BKHW = torch.softmax(logits_BKHW.flatten(2), dim=-1).reshape(*logits_BKHW.shape)
    x_BK = probability_BKHW.sum(dim=2) @ torch.arange(width, device=logits_BKHW.device, dtype=torch.float32)
    y_BK = probability_BKHW.sum(dim=3) @ torch.arange(height, device=logits_BKHW.device, dtype=torch.float32)
    return torch.stack([x_BK, y_BK], dim=-1)


def integral_loss(logits_BKHW: Tensor, targets: Targets) -> Tensor:
    """L1 in heatmap pixels between soft-argmax and keypoint (integral regression, Sun et al., ECCV 2018).

    Any heatmap net becomes a regressor by it; only keypoints inside the crop can be reached and count.
    """
    error_BK = (expectation(logits_BKHW) - targets.points_BK2).abs().sum(dim=-1)
    return (error_BK * targets.inside_BK).sum() / targets.inside_BK.sum().clamp(min=1)


LOSSES = {"mse": mse_loss, "bce": bce_loss, "focal": focal_loss, "integral": integral_loss}
