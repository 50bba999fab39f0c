"""Depthwise convolutions whose gradients CPUs compute fast in bfloat16.

oneDNN computes two of a depthwise convolution's gradients by slow reference code in bfloat16: that of the input at
stride 2, and that of a kernel larger than 3x3. The same sums come from what is fast: a stride of 1 over a gradient with
zeros between, and float32. With both, a step of `trunk_hrnet` takes about half the time (docs/experiments.md).
Axes: B batch, C channels, H and W rows and columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

FAST_KERNEL = 3
"""oneDNN's bfloat16 code for a kernel's gradient serves up to this size."""


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution without bias, with an odd kernel and padding that keeps the size at stride 1.

    Values and gradients are nn.Conv2d's, but for rounding; state and export are the same.
    """

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.training and x_BCHW.dtype == torch.bfloat16 and x_BCHW.device.type == "cpu":
            result: Tensor = _Depthwise.apply(x_BCHW, self.weight, self.stride[0])  # type: ignore[no-untyped-call]
            return result
        return super().forward(x_BCHW)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, weight_C1HW: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x_BCHW, weight_C1HW)
        ctx.stride = stride
        weight = weight_C1HW.to(x_BCHW.dtype)
        return nn.functional.conv2d(x_BCHW, weight, None, stride, weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (gradient_BCHW,) = gradients
        x_BCHW, weight_C1HW = ctx.saved_tensors
        by_input = by_weight = None
        if ctx.needs_input_grad[0]:
            spread_BCHW = gradient_BCHW
            if ctx.stride > 1:
                spread_BCHW = torch.zeros_like(x_BCHW)
                spread_BCHW[:, :, :: ctx.stride, :: ctx.stride] = gradient_BCHW
            by_input = _gradients(spread_BCHW, x_BCHW, weight_C1HW.to(x_BCHW.dtype), 1, (True, False, False))[0]
        if ctx.needs_input_grad[1]:
            exact = torch.float32 if weight_C1HW.shape[-1] > FAST_KERNEL else x_BCHW.dtype
            operands = gradient_BCHW.to(exact), x_BCHW.to(exact), weight_C1HW.to(exact)
            by_weight = _gradients(*operands, ctx.stride, (False, True, False))[1].to(weight_C1HW.dtype)
        return by_input, by_weight, None


def _gradients(
    gradient_BCHW: Tensor, x_BCHW: Tensor, weight_C1HW: Tensor, stride: int, mask: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    channels, padding = len(weight_C1HW), weight_C1HW.shape[-1] // 2
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient_BCHW, x_BCHW, weight_C1HW, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], channels, mask
    )
    return found
