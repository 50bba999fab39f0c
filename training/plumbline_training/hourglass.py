"""Stacked Hourglass (Newell, Yang and Deng, ECCV 2016): encoders and decoders in a row, each with heatmaps of its own.

Axes: B batch, C channels, H and W rows and columns, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.hrnet import conv_bn, initialise, initialise_final


@dataclass(frozen=True)
class HourglassConfig:
    """The eight stacks of the paper by default."""

    stacks: int = 8
    channels: int = 256
    depth: int = 4
    """Halvings in each stack."""
    activation: Literal["linear", "sigmoid"] = "linear"


class Residual(nn.Module):
    """A bottleneck of half the channels whose norms and ReLUs come before its convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        inner = outputs // 2
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, outputs, 1),
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out: Tensor = self.body(x_BCHW) + self.skip(x_BCHW)
        return out


class Hourglass(nn.Module):
    """Down to the coarsest size and up again, with a branch at every size."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.beside = Residual(channels, channels)
        self.down = Residual(channels, channels)
        self.inner = Hourglass(channels, depth - 1) if depth > 1 else Residual(channels, channels)
        self.up = Residual(channels, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        # ceil_mode keeps the last row or column of an odd size, which the crop below cuts off again on the way up.
        low_BCHW = self.up(self.inner(self.down(functional.max_pool2d(x_BCHW, 2, ceil_mode=True))))
        raised_BCHW = functional.interpolate(low_BCHW, scale_factor=2.0, mode="nearest")
        height, width = x_BCHW.shape[2:]
        out: Tensor = self.beside(x_BCHW) + raised_BCHW[:, :, :height, :width]
        return out


class StackedHourglass(nn.Module):
    """Pictures (B, 3, H, W) -> heatmaps (B, K, H/4, W/4); the logits of every stack while it trains."""

    def __init__(self, config: HourglassConfig, keypoints: int = NUM_KEYPOINTS) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.stem = nn.Sequential(
            conv_bn(3, channels // 4, kernel=7, stride=2),
            Residual(channels // 4, channels // 2),
            nn.MaxPool2d(2),
            Residual(channels // 2, channels // 2),
            Residual(channels // 2, channels),
        )
        stacks, last = range(config.stacks), config.stacks - 1
        self.hourglasses = nn.ModuleList(
            nn.Sequential(Hourglass(channels, config.depth), Residual(channels, channels)) for _ in stacks
        )
        self.features = nn.ModuleList(conv_bn(channels, channels, kernel=1) for _ in stacks)
        self.heads = nn.ModuleList(nn.Conv2d(channels, keypoints, 1) for _ in stacks)
        self.merge_features = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(last))
        self.merge_heatmaps = nn.ModuleList(nn.Conv2d(keypoints, channels, 1) for _ in range(last))
        initialise(self)
        for head in self.heads:
            assert isinstance(head, nn.Conv2d)
            initialise_final(head, config.activation)

    def forward(self, images_BCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        x_BCHW = self.stem(images_BCHW)
        outputs: list[Tensor] = []
        for index, (hourglass, feature, head) in enumerate(
            zip(self.hourglasses, self.features, self.heads, strict=True)
        ):
            features_BCHW = feature(hourglass(x_BCHW))
            outputs.append(head(features_BCHW))
            if index < len(self.merge_features):
                merged_BCHW = self.merge_features[index](features_BCHW) + self.merge_heatmaps[index](outputs[-1])
                x_BCHW = x_BCHW + merged_BCHW
        if self.training:
            return tuple(outputs)
        return torch.sigmoid(outputs[-1]) if self.config.activation == "sigmoid" else outputs[-1]


HOURGLASS_8 = HourglassConfig()
