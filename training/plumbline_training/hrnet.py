"""HRNet for keypoint heatmaps (Sun et al., "Deep High-Resolution Representation Learning", CVPR 2019).

A stem at a quarter of the input's size, then four stages that run branches at 1/4, 1/8, 1/16 and 1/32 side by side and
exchange them by repeated fusion; the heatmaps come from the finest branch. Module names follow the authors' release, so
that its checkpoints load. Axes: B batch, C channels, H and W rows and columns, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from plumbline_contract.skeleton import NUM_KEYPOINTS

BOTTLENECK_EXPANSION = 4


@dataclass(frozen=True)
class HRNetConfig:
    """The shape of one member of the family; modules and channels are listed for stages 2, 3 and 4."""

    stem_channels: int = 64
    """Channels of the two stride-2 convolutions."""
    stage1_blocks: int = 4
    """Bottleneck blocks of stage 1."""
    stage1_channels: int = 64
    """Inner channels of those bottlenecks; they give four times as many."""
    modules: tuple[int, int, int] = (1, 4, 3)
    """Multi-resolution modules, each ending in a fusion."""
    blocks: int = 4
    """Basic blocks a branch in each module."""
    channels: tuple[int, int, int, int] = (32, 64, 128, 256)
    """Channels of the branches from fine to coarse."""
    activation: Literal["linear", "sigmoid"] = "linear"
    """What heatmaps pass through when the net is evaluated; while it trains it gives logits."""


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution without bias, batch norm and, unless refused, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


def initialise(net: nn.Module) -> None:
    """Fresh weights of every convolution."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def initialise_final(layer: nn.Conv2d, activation: Literal["linear", "sigmoid"]) -> None:
    """Fresh weights of a layer that gives heatmaps.

    Small, so that training starts from nearly flat maps: from larger ones it does not start at all. With a sigmoid most
    of a map is background: it starts where that says 0.01, as focal losses need.
    """
    nn.init.normal_(layer.weight, std=1e-3)
    assert layer.bias is not None
    nn.init.constant_(layer.bias, -4.6 if activation == "sigmoid" else 0.0)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x_BCHW)))
        return functional.relu(self.bn2(self.conv2(out)) + x_BCHW)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around an identity, or a 1x1 projection where the channels change."""

    def __init__(self, inputs: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        outputs = channels * BOTTLENECK_EXPANSION
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        changes = inputs != outputs or stride != 1
        self.downsample = conv_bn(inputs, outputs, kernel=1, stride=stride, relu=False) if changes else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        identity = x_BCHW if self.downsample is None else self.downsample(x_BCHW)
        out = functional.relu(self.bn1(self.conv1(x_BCHW)))
        out = functional.relu(self.bn2(self.conv2(out)))
        return functional.relu(self.bn3(self.conv3(out)) + identity)


def _downsampling_path(inputs: int, outputs: int, steps: int) -> nn.Sequential:
    """`steps` stride-2 convolutions; all but the last keep the channels and have a ReLU."""
    kept = [conv_bn(inputs, inputs, stride=2) for _ in range(steps - 1)]
    return nn.Sequential(*kept, conv_bn(inputs, outputs, stride=2, relu=False))


class HighResolutionModule(nn.Module):
    """Branches of basic blocks side by side, then every output is the sum of all branches brought to its size."""

    def __init__(self, channels: tuple[int, ...], blocks: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(blocks))) for width in channels)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self._bring(channels, source, target) for source in range(len(channels)))
            for target in range(outputs)
        )

    @staticmethod
    def _bring(channels: tuple[int, ...], source: int, target: int) -> nn.Module:
        if source == target:
            return nn.Identity()
        if source < target:
            return _downsampling_path(channels[source], channels[target], target - source)
        upsample = nn.Upsample(scale_factor=float(2 ** (source - target)), mode="nearest")
        return nn.Sequential(*conv_bn(channels[source], channels[target], kernel=1, relu=False), upsample)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        branches = [blocks(x_BCHW) for blocks, x_BCHW in zip(self.branches, branches, strict=True)]
        fused = []
        for layers in self.fuse_layers:
            assert isinstance(layers, nn.ModuleList)
            total = layers[0](branches[0])
            for bring, x_BCHW in zip(layers[1:], branches[1:], strict=True):
                total = total + bring(x_BCHW)
            fused.append(functional.relu(total))
        return fused


class HRNet(nn.Module):
    """Images (B, 3, H, W) to heatmaps (B, K, H/4, W/4); H and W are multiples of 32.

    In training mode the heatmaps are logits; in evaluation mode `config.activation` has been applied.
    """

    def __init__(self, config: HRNetConfig, keypoints: int = NUM_KEYPOINTS) -> None:
        super().__init__()
        self.config = config
        stem, widths = config.stem_channels, config.channels
        self.conv1 = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem)
        stage1_outputs = config.stage1_channels * BOTTLENECK_EXPANSION
        first = Bottleneck(stem, config.stage1_channels)
        rest = (Bottleneck(stage1_outputs, config.stage1_channels) for _ in range(config.stage1_blocks - 1))
        self.layer1 = nn.Sequential(first, *rest)
        self.transition1 = self._transition((stage1_outputs,), widths[:2])
        self.stage2 = self._stage(widths[:2], config.modules[0])
        self.transition2 = self._transition(widths[:2], widths[:3])
        self.stage3 = self._stage(widths[:3], config.modules[1])
        self.transition3 = self._transition(widths[:3], widths)
        self.stage4 = self._stage(widths, config.modules[2], last=True)
        self.final_layer = nn.Conv2d(widths[0], keypoints, 1)
        initialise(self)
        initialise_final(self.final_layer, config.activation)

    @staticmethod
    def _transition(before: tuple[int, ...], after: tuple[int, ...]) -> nn.ModuleList:
        """Give every branch its stage's channels, and start one new branch at half the coarsest size."""
        paths: list[nn.Module] = []
        for index, outputs in enumerate(after):
            if index >= len(before):
                paths.append(nn.Sequential(conv_bn(before[-1], outputs, stride=2)))
            elif before[index] != outputs:
                paths.append(conv_bn(before[index], outputs))
            else:
                paths.append(nn.Identity())
        return nn.ModuleList(paths)

    def _stage(self, channels: tuple[int, ...], modules: int, last: bool = False) -> nn.Sequential:
        outputs = [len(channels)] * modules
        if last:
            outputs[-1] = 1
        return nn.Sequential(*(HighResolutionModule(channels, self.config.blocks, count) for count in outputs))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        logits_BKHW = self.heatmaps(images_BCHW)
        if self.config.activation == "sigmoid" and not self.training:
            return torch.sigmoid(logits_BKHW)
        return logits_BKHW

    def heatmaps(self, images_BCHW: Tensor) -> Tensor:
        """The final layer's output, without activation."""
        x_BCHW = functional.relu(self.bn1(self.conv1(images_BCHW)))
        x_BCHW = functional.relu(self.bn2(self.conv2(x_BCHW)))
        branches = [self.layer1(x_BCHW)]
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            # A new branch starts from the coarsest one there is.
            branches = [path(branches[min(index, len(branches) - 1)]) for index, path in enumerate(transition)]
            branches = stage(branches)
        logits_BKHW: Tensor = self.final_layer(branches[0])
        return logits_BKHW


HRNET_W32 = HRNetConfig()
HRNET_W48 = HRNetConfig(channels=(48, 96, 192, 384))
HRNET_EDGE_S = HRNetConfig(
    stem_channels=32,
    stage1_blocks=1,
    stage1_channels=32,
    modules=(1, 1, 1),
    blocks=2,
    channels=(16, 32, 64, 128),
    activation="sigmoid",
)
