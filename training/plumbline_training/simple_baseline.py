"""SimpleBaseline: a ResNet and three deconvolutions (Xiao, Wu and Wei, "Simple Baselines for Human Pose Estimation and
Tracking", ECCV 2018).

The trunk's names are torchvision's, so that its ImageNet weights load. Axes: B batch, C channels, H and W rows and
columns, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.hrnet import BOTTLENECK_EXPANSION, Bottleneck, initialise, initialise_final


@dataclass(frozen=True)
class SimpleBaselineConfig:
    """The ResNet-50 of the paper by default."""

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Bottlenecks of the four stages: ResNet-50's; (3, 4, 23, 3) and (3, 8, 36, 3) are 101's and 152's."""
    channels: int = 64
    """Of the stem, and inner ones of the first stage; each later stage has twice as many."""
    deconv_channels: int = 256
    activation: Literal["linear", "sigmoid"] = "linear"


class SimpleBaseline(nn.Module):
    """Pictures (B, 3, H, W) -> heatmaps (B, K, H/4, W/4)."""

    def __init__(self, config: SimpleBaselineConfig, keypoints: int = NUM_KEYPOINTS) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv2d(3, config.channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(config.channels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = config.channels
        for stage, count in enumerate(config.blocks):
            inner = config.channels * 2**stage
            outputs = inner * BOTTLENECK_EXPANSION
            first = Bottleneck(inputs, inner, stride=1 if stage == 0 else 2)
            rest = (Bottleneck(outputs, inner) for _ in range(count - 1))
            setattr(self, f"layer{stage + 1}", nn.Sequential(first, *rest))
            inputs = outputs
        self.deconv_layers = nn.Sequential(
            *(
                layer
                for source in (inputs, config.deconv_channels, config.deconv_channels)
                for layer in (
                    nn.ConvTranspose2d(source, config.deconv_channels, 4, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(config.deconv_channels),
                    nn.ReLU(inplace=True),
                )
            )
        )
        self.final_layer = nn.Conv2d(config.deconv_channels, keypoints, 1)
        initialise(self)
        initialise_final(self.final_layer, config.activation)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        x_BCHW = self.maxpool(functional.relu(self.bn1(self.conv1(images_BCHW))))
        for stage in range(len(self.config.blocks)):
            x_BCHW = getattr(self, f"layer{stage + 1}")(x_BCHW)
        logits_BKHW: Tensor = self.final_layer(self.deconv_layers(x_BCHW))
        if self.config.activation == "sigmoid" and not self.training:
            return torch.sigmoid(logits_BKHW)
        return logits_BKHW


RESNET_50 = SimpleBaselineConfig()
