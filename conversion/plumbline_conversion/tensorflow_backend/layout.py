"""NCHW numbers of ONNX in NHWC terms: axes, constants and padding.

A translated image tensor always has four axes, N, H, W, C. Constants stay as ONNX has them until an operator uses them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from plumbline_conversion.graph import Array, Node

Tensor: TypeAlias = Any
"""A tf.Tensor; TensorFlow ships no types."""
Operand: TypeAlias = Any
"""What an operator is given: a Tensor (NHWC), a numpy constant (as in ONNX) or None for an absent input."""

NHWC_AXIS: Final = (0, 3, 1, 2)
"""NHWC_AXIS[axis of NCHW] is that axis in NHWC."""
Padding: TypeAlias = Literal["SAME", "VALID"]


def nhwc_axis(node: Node, axis: int) -> int:
    """An ONNX axis of an image tensor, which may count from the end, in NHWC."""
    if not -4 <= axis < 4:
        raise node.unsupported(f"axis {axis} of a tensor with four axes")
    return NHWC_AXIS[axis % 4]


def image(node: Node, operand: Operand) -> Tensor:
    """The operand as an image tensor. Raises UnsupportedUse for a constant, an absent input or other axes."""
    if not isinstance(operand, tf.Tensor) or len(operand.shape) != 4:
        raise node.unsupported("needs an image tensor (N, C, H, W) here")
    return operand


def constant(node: Node, operand: Operand) -> Array:
    """The operand as a constant. Raises UnsupportedUse when it depends on the image or is absent."""
    if not isinstance(operand, np.ndarray):
        raise node.unsupported("needs a constant here, such as a weight in the file")
    return operand


def broadcastable(operand: Operand) -> Operand:
    """An operand of elementwise arithmetic: constants (..., C, H, W) get the missing axes and move to NHWC."""
    if not isinstance(operand, np.ndarray) or operand.size == 1:
        return operand.reshape(()) if isinstance(operand, np.ndarray) else operand
    array_NCHW = operand.reshape((1,) * (4 - operand.ndim) + operand.shape)
    return array_NCHW.transpose(0, 2, 3, 1)


@dataclass(frozen=True)
class Window:
    """A sliding window along one axis, with the padding that the operator asks for."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def extent(self) -> int:
        """Input positions from the window's first to its last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        """Number of window positions."""
        return (self.size + self.before + self.after - self.extent) // self.stride + 1

    @property
    def used_padding(self) -> tuple[int, int]:
        """(before, after) without trailing padding that no window reaches."""
        reached = (self.outputs - 1) * self.stride + self.extent
        return self.before, max(0, reached - self.size - self.before)

    @property
    def same_padding(self) -> tuple[int, int] | None:
        """(before, after) of TensorFlow's SAME, or None when SAME gives another number of outputs."""
        outputs = -(-self.size // self.stride)
        total = max(0, (outputs - 1) * self.stride + self.extent - self.size)
        return (total // 2, total - total // 2) if outputs == self.outputs else None


def windows(node: Node, images_NHWC: Tensor, kernel: tuple[int, ...]) -> tuple[Window, Window]:
    """The node's windows along H and W, from its strides, dilations, pads or auto_pad."""
    if len(kernel) != 2:
        raise node.unsupported(f"kernel {kernel} is not two-dimensional")
    sizes = images_NHWC.shape[1:3]
    strides, dilations = node.attributes.get("strides", (1, 1)), node.attributes.get("dilations", (1, 1))
    auto_pad = node.attributes.get("auto_pad", b"NOTSET").decode()
    pads = node.attributes.get("pads", (0, 0, 0, 0))
    pair = []
    for axis in (0, 1):
        window = Window(sizes[axis], kernel[axis], strides[axis], dilations[axis], pads[axis], pads[axis + 2])
        window = window if auto_pad == "NOTSET" else _automatic(window, auto_pad)
        pair.append(_rounded_up(window) if node.attributes.get("ceil_mode", 0) else window)
    return pair[0], pair[1]


def _rounded_up(window: Window) -> Window:
    """With ceil_mode, a last window that is cut off counts, unless it would begin beyond the input."""
    padded = window.size + window.before
    missing = -(padded + window.after - window.extent) % window.stride
    begins = window.outputs * window.stride
    return replace(window, after=window.after + missing) if missing and begins < padded else window


def _automatic(window: Window, auto_pad: str) -> Window:
    if auto_pad == "VALID":
        before = after = 0
    else:
        total = max(0, (-(-window.size // window.stride) - 1) * window.stride + window.extent - window.size)
        before, after = total // 2, total - total // 2
        if auto_pad == "SAME_LOWER":
            before, after = after, before
    return Window(window.size, window.kernel, window.stride, window.dilation, before, after)


def named_padding(rows: Window, columns: Window) -> Padding | None:
    """VALID or SAME where they mean exactly the padding asked for, else None.

    PyTorch pads a stride-2 convolution on both sides while SAME pads an even size at the end only: those differ.
    """
    used = [rows.used_padding, columns.used_padding]
    if used == [(0, 0), (0, 0)]:
        return "VALID"
    return "SAME" if used == [rows.same_padding, columns.same_padding] else None
