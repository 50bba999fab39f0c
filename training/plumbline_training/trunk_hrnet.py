"""HRNet's parallel branches and repeated fusion on a trunk that ImageNet has trained (EfficientNet-Lite).

The trunk gives each branch its start instead of the one before it: where labelled people are few, features that
ImageNet taught are worth more than branches that start early. Trunk: Tan and Le, ICML 2019, in the Lite form without
squeeze-and-excitation and with ReLU6. Axes: B batch, C channels, H and W rows and columns, K keypoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.depthwise import DepthwiseConv2d
from plumbline_training.hrnet import HighResolutionModule, conv_bn, initialise, initialise_final

BN_EPSILON, BN_MOMENTUM = 1e-3, 0.01
"""The trunk's released weights were trained with these."""
WIDTH_DIVISOR = 8


class TrunkStage(NamedTuple):
    """Mobile blocks of one kind."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


STEM_CHANNELS = 32
STAGES = (
    TrunkStage(3, 1, 1, 16, 1),
    TrunkStage(3, 2, 6, 24, 2),
    TrunkStage(5, 2, 6, 40, 2),
    TrunkStage(3, 2, 6, 80, 3),
    TrunkStage(5, 1, 6, 112, 3),
    TrunkStage(5, 2, 6, 192, 4),
)
"""EfficientNet-Lite0's, without its last stage, whose 320 channels serve classes more than places."""
TAPS = (1, 2, 4, 5)
"""The stages whose outputs start the branches at 1/4, 1/8, 1/16 and 1/32."""


@dataclass(frozen=True)
class TrunkHRNetConfig:
    """The shape of one member of the family."""

    width: float = 1.0
    """Of the trunk's channels; 1.1 is Lite2's."""
    depth: float = 1.0
    """Of the trunk's repeats; 1.1 is Lite1's, 1.2 Lite2's."""
    channels: tuple[int, int, int, int] = (32, 48, 64, 96)
    """Of the branches from fine to coarse."""
    modules: int = 2
    """Multi-resolution modules, each ending in a fusion."""
    blocks: int = 1
    """Basic blocks a branch in each module."""
    activation: Literal["linear", "sigmoid"] = "sigmoid"
    """What heatmaps pass through when the net is evaluated; while it trains it gives logits."""


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BN_EPSILON, momentum=BN_MOMENTUM)


class LiteBlock(nn.Module):
    """Expand, depthwise, project; an identity around where shapes allow. Names follow the released weights."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        if expansion > 1:
            self.expand_conv = nn.Conv2d(inputs, inner, 1, bias=False)
            self.bn0 = _norm(inner)
        self.depthwise_conv = DepthwiseConv2d(inner, kernel, stride)
        self.bn1 = _norm(inner)
        self.project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)
        self.expands, self.residual = expansion > 1, stride == 1 and inputs == outputs

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out = nn.functional.relu6(self.bn0(self.expand_conv(x_BCHW))) if self.expands else x_BCHW
        out = nn.functional.relu6(self.bn1(self.depthwise_conv(out)))
        projected: Tensor = self.bn2(self.project_conv(out))
        return projected + x_BCHW if self.residual else projected


class Trunk(nn.Module):
    """Pictures (B, 3, H, W) to features at 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, width: float, depth: float) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        self.bn0 = _norm(STEM_CHANNELS)
        self.blocks = nn.ModuleList()
        self.widths: list[int] = []
        self._taps: list[int] = []
        inputs = STEM_CHANNELS
        for number, stage in enumerate(STAGES):
            outputs = scaled_width(stage.channels, width)
            # The first stage is not repeated more often in a deeper member.
            repeats = stage.repeats if number == 0 else math.ceil(stage.repeats * depth)
            for repeat in range(repeats):
                stride = stage.stride if repeat == 0 else 1
                self.blocks.append(LiteBlock(inputs, outputs, stage.kernel, stride, stage.expansion))
                inputs = outputs
            if number in TAPS:
                self._taps.append(len(self.blocks) - 1)
                self.widths.append(outputs)

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        x_BCHW = nn.functional.relu6(self.bn0(self.conv_stem(images_BCHW)))
        features = []
        for number, block in enumerate(self.blocks):
            x_BCHW = block(x_BCHW)
            if number in self._taps:
                features.append(x_BCHW)
        return features


def scaled_width(channels: int, width: float) -> int:
    """Channels times `width`, to a multiple of 8 and never below nine tenths of it (as EfficientNet rounds)."""
    wanted = channels * width
    rounded = max(WIDTH_DIVISOR, int(wanted + WIDTH_DIVISOR / 2) // WIDTH_DIVISOR * WIDTH_DIVISOR)
    return rounded + WIDTH_DIVISOR if rounded < 0.9 * wanted else rounded


class TrunkHRNet(nn.Module):
    """Images (B, 3, H, W) to heatmaps (B, K, H/4, W/4); H and W are multiples of 32.

    In training mode the heatmaps are logits; in evaluation mode `config.activation` has been applied.
    """

    def __init__(self, config: TrunkHRNetConfig, keypoints: int = NUM_KEYPOINTS) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.width, config.depth)
        self.transition = nn.ModuleList(
            conv_bn(inputs, outputs, kernel=1)
            for inputs, outputs in zip(self.trunk.widths, config.channels, strict=True)
        )
        outputs = [len(config.channels)] * (config.modules - 1) + [1]
        self.stages = nn.ModuleList(HighResolutionModule(config.channels, config.blocks, count) for count in outputs)
        self.final_layer = nn.Conv2d(config.channels[0], keypoints, 1)
        initialise(self)
        initialise_final(self.final_layer, config.activation)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        features = self.trunk(images_BCHW)
        branches = [path(x_BCHW) for path, x_BCHW in zip(self.transition, features, strict=True)]
        for module in self.stages:
            branches = module(branches)
        logits_BKHW: Tensor = self.final_layer(branches[0])
        if self.config.activation == "sigmoid" and not self.training:
            return torch.sigmoid(logits_BKHW)
        return logits_BKHW


TRUNK_HRNET_LITE0 = TrunkHRNetConfig()
