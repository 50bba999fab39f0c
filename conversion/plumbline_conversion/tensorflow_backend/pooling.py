"""Pooling. Padding of a maximum repeats the edge, which never changes it and, unlike -inf, can be quantised."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from plumbline_conversion.graph import Node
from plumbline_conversion.tensorflow_backend.layout import (
    Operand,
    Tensor,
    constant,
    image,
    named_padding,
    nhwc_axis,
    windows,
)


def max_pool(node: Node, operands: Sequence[Operand]) -> Tensor:
    """MaxPool without indices or dilation."""
    images_NHWC = image(node, operands[0])
    kernel = tuple(node.attributes["kernel_shape"])
    rows, columns = windows(node, images_NHWC, kernel)
    if (rows.dilation, columns.dilation) != (1, 1) or len(node.outputs) > 1:
        raise node.unsupported("a dilated MaxPool, or one that gives indices, is not translated")
    if max(rows.used_padding) >= kernel[0] or max(columns.used_padding) >= kernel[1]:
        raise node.unsupported("the padding is as large as the window")
    padding = named_padding(rows, columns)
    if padding is None:
        images_NHWC = _repeat_edge(images_NHWC, 1, rows.used_padding)
        images_NHWC = _repeat_edge(images_NHWC, 2, columns.used_padding)
        padding = "VALID"
    return tf.nn.max_pool2d(images_NHWC, kernel, (rows.stride, columns.stride), padding)


def _repeat_edge(images_NHWC: Tensor, axis: int, padding: tuple[int, int]) -> Tensor:
    """Right for a maximum because every window that reaches into the padding also covers the edge."""
    if padding == (0, 0):
        return images_NHWC
    last = images_NHWC.shape[axis] - 1
    first_edge, last_edge = _slice(images_NHWC, axis, 0), _slice(images_NHWC, axis, last)
    before, after = padding
    return tf.concat([first_edge] * before + [images_NHWC] + [last_edge] * after, axis)


def _slice(images_NHWC: Tensor, axis: int, index: int) -> Tensor:
    return images_NHWC[:, index : index + 1] if axis == 1 else images_NHWC[:, :, index : index + 1]


def average_pool(node: Node, operands: Sequence[Operand]) -> Tensor:
    """AveragePool: padding either counts (zeros are added) or is TensorFlow's SAME, which does not count it."""
    images_NHWC = image(node, operands[0])
    kernel = tuple(node.attributes["kernel_shape"])
    rows, columns = windows(node, images_NHWC, kernel)
    if (rows.dilation, columns.dilation) != (1, 1) or node.attributes.get("ceil_mode", 0):
        raise node.unsupported("a dilated AveragePool, or one with ceil_mode=1, is not translated")
    padding = named_padding(rows, columns)
    if padding != "VALID" and node.attributes.get("count_include_pad", 0):
        images_NHWC = tf.pad(images_NHWC, [(0, 0), rows.used_padding, columns.used_padding, (0, 0)])
        padding = "VALID"
    if padding is None:
        raise node.unsupported("this padding needs count_include_pad=1")
    return tf.nn.avg_pool2d(images_NHWC, kernel, (rows.stride, columns.stride), padding)


def global_average_pool(node: Node, operands: Sequence[Operand]) -> Tensor:
    """GlobalAveragePool: (N, 1, 1, C)."""
    return tf.reduce_mean(image(node, operands[0]), axis=(1, 2), keepdims=True)


def reduce_mean(node: Node, operands: Sequence[Operand]) -> Tensor:
    """ReduceMean that keeps its axes, which are an attribute up to opset 17 and an input after."""
    axes = constant(node, operands[1]).tolist() if len(operands) > 1 else node.attributes.get("axes")
    if not axes or not node.attributes.get("keepdims", 1):
        raise node.unsupported("give axes and keepdims=1, so that the result stays an image tensor")
    return tf.reduce_mean(image(node, operands[0]), axis=[nhwc_axis(node, axis) for axis in axes], keepdims=True)
