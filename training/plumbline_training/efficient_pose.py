"""A light net in the manner of EfficientPose (Groos, Ramampiaro and Ihlen, 2020).

Mobile blocks see the picture at every size, the sizes are joined, and heatmaps are refined in passes.

ReLU6 in place of swish and no squeeze-and-excitation, as in EfficientNet-Lite: both cost an int8 graph dearly. Axes:
B batch, C channels, H and W rows and columns, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.hrnet import initialise, initialise_final


@dataclass(frozen=True)
class EfficientPoseConfig:
    """Widths and depths of the trunk at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture."""

    channels: tuple[int, int, int, int, int] = (16, 24, 40, 80, 112)
    blocks: tuple[int, int, int, int, int] = (1, 2, 2, 3, 3)
    expansion: int = 4
    head_channels: int = 64
    passes: int = 2
    """Times that heatmaps are given, each from the features and the pass before."""
    activation: Literal["linear", "sigmoid"] = "sigmoid"


def _unit(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if relu else []))


class MobileBlock(nn.Module):
    """Expand, depthwise, project; an identity around where shapes allow (Sandler et al., "MobileNetV2", 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, kernel: int = 3) -> None:
        super().__init__()
        inner = inputs * expansion
        self.body = nn.Sequential(
            _unit(inputs, inner, 1),
            _unit(inner, inner, kernel, stride, groups=inner),
            _unit(inner, outputs, 1, relu=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out: Tensor = self.body(x_BCHW)
        return out + x_BCHW if self.residual else out


class EfficientPose(nn.Module):
    """Pictures (B, 3, H, W) -> heatmaps (B, K, H/4, W/4); the logits of every pass while it trains."""

    def __init__(self, config: EfficientPoseConfig, keypoints: int = NUM_KEYPOINTS) -> None:
        super().__init__()
        self.config = config
        self.stem = _unit(3, config.channels[0], 3, stride=2)
        self.stages = nn.ModuleList()
        inputs = config.channels[0]
        for stage, (outputs, count) in enumerate(zip(config.channels, config.blocks, strict=True)):
            first = MobileBlock(inputs, outputs, 1 if stage == 0 else 2, config.expansion, 3 if stage < 2 else 5)
            rest = (MobileBlock(outputs, outputs, 1, config.expansion) for _ in range(count - 1))
            self.stages.append(nn.Sequential(first, *rest))
            inputs = outputs
        head = config.head_channels
        self.lateral = nn.ModuleList(_unit(width, head, 1, relu=False) for width in config.channels[1:])
        self.detect = nn.ModuleList(
            nn.Sequential(
                _unit(head + keypoints * (index > 0), head, 1),
                *(MobileBlock(head, head, 1, 2, kernel=5) for _ in range(2)),
            )
            for index in range(config.passes)
        )
        self.heads = nn.ModuleList(nn.Conv2d(head, keypoints, 1) for _ in range(config.passes))
        initialise(self)
        for layer in self.heads:
            assert isinstance(layer, nn.Conv2d)
            initialise_final(layer, config.activation)

    def forward(self, images_BCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        x_BCHW, sizes = self.stem(images_BCHW), []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            sizes.append(x_BCHW)
        joined_BCHW = self.lateral[-1](sizes[-1])
        for lateral, features_BCHW in zip(reversed(self.lateral[:-1]), reversed(sizes[1:-1]), strict=True):
            joined_BCHW = lateral(features_BCHW) + functional.interpolate(joined_BCHW, scale_factor=2.0, mode="nearest")
        outputs: list[Tensor] = []
        for detect, head in zip(self.detect, self.heads, strict=True):
            outputs.append(head(detect(torch.cat([joined_BCHW, *outputs[-1:]], dim=1))))
        if self.training:
            return tuple(outputs)
        return torch.sigmoid(outputs[-1]) if self.config.activation == "sigmoid" else outputs[-1]


EFFICIENT_POSE = EfficientPoseConfig()
