"""The judge's network: dilated convolutions over the window's frames, then one linear layer for every answer.

Axes: N windows, C channels, W frames, L logits. Frames are rows of a picture one pixel wide, since that is what the
conversion translates; ONNX and TFLite see ordinary 2-D convolutions.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from torch.nn import functional

from plumbline_contract.form import CHANNELS, LAG_FRAMES, LOGITS, WINDOW_FRAMES

WIDTH: Final = 192
STRIDE: Final = 2
"""The stem halves the rate to 5 Hz: half the time of everything after it."""
DILATIONS: Final = (1, 2, 4, 1, 2)
"""Together they see 43 frames around each frame (Bai, Kolter and Koltun 2018, without the causal padding)."""


class FrameConv(nn.Conv2d):
    """A convolution over frames. It learns as one product of matrices, in half the time that oneDNN's own gradient of
    pictures one pixel wide takes; elsewhere it is the layer that the conversion knows."""

    def forward(self, x_NCW1: torch.Tensor) -> torch.Tensor:
        """(N, C, W, 1) to (N, C', W', 1)."""
        if not self.training:
            return super().forward(x_NCW1)
        taps, step, dilation = self.kernel_size[0], self.stride[0], self.dilation[0]
        padding = int(self.padding[0])
        x_NWC = functional.pad(x_NCW1.squeeze(3).transpose(1, 2), (0, 0, padding, padding))
        span = x_NWC.shape[1] - dilation * (taps - 1)
        near_NWX = torch.cat([x_NWC[:, dilation * tap : dilation * tap + span : step] for tap in range(taps)], dim=2)
        weight_CX = self.weight.squeeze(3).transpose(1, 2).flatten(1)
        return functional.linear(near_NWX, weight_CX, self.bias).transpose(1, 2).unsqueeze(3)


class Block(nn.Module):
    """x + 1x1(relu(3x1(x)))."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            FrameConv(width, width, (3, 1), padding=(dilation, 0), dilation=(dilation, 1), bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            FrameConv(width, width, 1),
        )

    def forward(self, x_NCW1: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        added: torch.Tensor = x_NCW1 + self.layers(x_NCW1)
        return added


class FormNet(nn.Module):
    """Windows (N, C, W, 1) to logits (N, L, 1, 1), laid out by the contract's ANSWER."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.stem = FrameConv(CHANNELS, width, (5, 1), stride=(STRIDE, 1), padding=(2, 0))
        self.blocks = nn.Sequential(*(Block(width, dilation) for dilation in DILATIONS))
        self.join = nn.Sequential(FrameConv(2 * width, 2 * width, 1), nn.ReLU(inplace=True))
        self.answer = FrameConv(2 * width, LOGITS, 1)

    def forward(self, windows_NCW1: torch.Tensor) -> torch.Tensor:
        """The answer about the frame LAG_FRAMES before the newest, from it and from the mean over the window."""
        x = torch.relu(self.blocks(torch.relu(self.stem(windows_NCW1))))
        asked = (WINDOW_FRAMES - 1 - LAG_FRAMES) // STRIDE
        both = torch.cat([x[:, :, asked : asked + 1], x.mean(dim=2, keepdim=True)], dim=1)
        logits: torch.Tensor = self.answer(self.join(both))
        return logits


def net_of(weights: dict[str, torch.Tensor]) -> FormNet:
    """The net that has these weights, as wide as they are. Raises KeyError or RuntimeError for others."""
    net = FormNet(weights["stem.weight"].shape[0])
    net.load_state_dict(
        {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    )
    return net


def as_input(windows_NWC: torch.Tensor) -> torch.Tensor:
    """The contract's windows as the network takes them."""
    return windows_NWC.transpose(1, 2).unsqueeze(-1).contiguous(memory_format=torch.channels_last)
