"""A bottom-up net on an HRNet trunk: several people in a picture without boxes (Zhou, Wang and Krähenbühl, "Objects as
Points", 2019).

One map says where people's centres are, and from a centre 2K numbers lead to the person's keypoints; K maps say more
exactly where keypoints of anybody are. Axes: B batch, C channels, H and W rows and columns, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.hrnet import HRNet, HRNetConfig

MAPS = 1 + NUM_KEYPOINTS
"""Channels that are probabilities: the centre, then the keypoints; after them come dx, dy of each keypoint."""
CHANNELS = MAPS + 2 * NUM_KEYPOINTS
BACKGROUND_LOGIT = -4.6
"""Most of a map is background: start where a sigmoid says 0.01."""


@dataclass(frozen=True)
class CentreNetConfig:
    """The trunk; its own activation is not used."""

    trunk: HRNetConfig = field(default_factory=HRNetConfig)

    @property
    def activation(self) -> Literal["sigmoid"]:
        """What the maps pass through."""
        return "sigmoid"


class CentreNet(nn.Module):
    """Pictures (B, 3, H, W) -> (B, 1 + 3K, H/4, W/4).

    Maps, as logits while it trains, then offsets in heatmap pixels.
    """

    def __init__(self, config: CentreNetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = HRNet(config.trunk, keypoints=CHANNELS)
        bias = self.trunk.final_layer.bias
        assert bias is not None
        with torch.no_grad():
            bias[:MAPS] = BACKGROUND_LOGIT
            bias[MAPS:] = 0.0

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs_BCHW: Tensor = self.trunk.heatmaps(images_BCHW)
        if self.training:
            return outputs_BCHW
        return torch.cat([torch.sigmoid(outputs_BCHW[:, :MAPS]), outputs_BCHW[:, MAPS:]], dim=1)
