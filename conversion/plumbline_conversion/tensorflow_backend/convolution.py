"""Convolutions and batch normalisation. Weights are transposed here, once, never in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from plumbline_conversion.graph import Array, Node
from plumbline_conversion.tensorflow_backend.layout import (
    Operand,
    Padding,
    Tensor,
    constant,
    image,
    named_padding,
    windows,
)


def conv(node: Node, operands: Sequence[Operand]) -> Tensor:
    """Conv: dense, grouped or depthwise, with a constant kernel (O, I / group, kh, kw)."""
    images_NHWC, kernel_OIHW = image(node, operands[0]), constant(node, operands[1])
    channels = kernel_OIHW.shape[1] * node.attributes.get("group", 1)
    if channels != images_NHWC.shape[3]:
        raise node.unsupported(f"the kernel is for {channels} channels, the image has {images_NHWC.shape[3]} channels")
    rows, columns = windows(node, images_NHWC, kernel_OIHW.shape[2:])
    padding = named_padding(rows, columns)
    if padding is None:
        images_NHWC = tf.pad(images_NHWC, [(0, 0), rows.used_padding, columns.used_padding, (0, 0)])
        padding = "VALID"
    strides, dilations = (rows.stride, columns.stride), (rows.dilation, columns.dilation)
    convolve = _depthwise if _is_depthwise(node, images_NHWC, kernel_OIHW) else _dense
    return _with_bias(node, convolve(images_NHWC, kernel_OIHW, strides, dilations, padding), operands[2:])


def _is_depthwise(node: Node, images_NHWC: Tensor, kernel_OIHW: Array) -> bool:
    channels = images_NHWC.shape[3]
    return bool(node.attributes.get("group", 1) == channels > 1 and kernel_OIHW.shape[1] == 1)


def _dense(
    images_NHWC: Tensor, kernel_OIHW: Array, strides: tuple[int, int], dilations: tuple[int, int], padding: Padding
) -> Tensor:
    kernel_HWIO = kernel_OIHW.transpose(2, 3, 1, 0)
    return tf.nn.conv2d(images_NHWC, kernel_HWIO, strides, padding, dilations=dilations)


def _depthwise(
    images_NHWC: Tensor, kernel_OIHW: Array, strides: tuple[int, int], dilations: tuple[int, int], padding: Padding
) -> Tensor:
    """ONNX's output channel c * multiplier + m is TensorFlow's kernel entry [:, :, c, m]."""
    channels = images_NHWC.shape[3]
    height, width = kernel_OIHW.shape[2:]
    kernel_HWCM = kernel_OIHW.transpose(2, 3, 1, 0).reshape(height, width, channels, -1)
    return tf.nn.depthwise_conv2d(images_NHWC, kernel_HWCM, (1, *strides, 1), padding, dilations=dilations)


def _with_bias(node: Node, images_NHWC: Tensor, bias: Sequence[Operand]) -> Tensor:
    if not bias or bias[0] is None:
        return images_NHWC
    return tf.nn.bias_add(images_NHWC, constant(node, bias[0]))


def conv_transpose(node: Node, operands: Sequence[Operand]) -> Tensor:
    """ConvTranspose with a constant kernel (I, O, kh, kw): the full result, cut to what the pads leave."""
    images_NHWC, kernel_IOHW = image(node, operands[0]), constant(node, operands[1])
    if node.attributes.get("group", 1) != 1 or tuple(node.attributes.get("dilations", (1, 1))) != (1, 1):
        raise node.unsupported("a grouped or dilated ConvTranspose is not translated")
    if node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in node.attributes:
        raise node.unsupported("auto_pad and output_shape are not translated; give pads")
    strides = tuple(node.attributes.get("strides", (1, 1)))
    pads, extra = node.attributes.get("pads", (0, 0, 0, 0)), node.attributes.get("output_padding", (0, 0))
    sizes, kernel = images_NHWC.shape[1:3], kernel_IOHW.shape[2:]
    full = [(sizes[axis] - 1) * strides[axis] + max(kernel[axis], strides[axis]) for axis in (0, 1)]
    cut = [(sizes[a] - 1) * strides[a] + kernel[a] - pads[a] - pads[a + 2] + extra[a] for a in (0, 1)]
    if any(pads[axis] + cut[axis] > full[axis] for axis in (0, 1)):
        raise node.unsupported(f"output_padding {tuple(extra)} reaches beyond the kernel")
    kernel_HWOI = kernel_IOHW.transpose(2, 3, 1, 0)
    channels = kernel_IOHW.shape[1]
    if _is_same(images_NHWC, kernel, strides, pads, cut):
        result = tf.nn.conv2d_transpose(images_NHWC, kernel_HWOI, (1, *cut, channels), strides, "SAME")
    else:
        result = tf.nn.conv2d_transpose(images_NHWC, kernel_HWOI, (1, *full, channels), strides, "VALID")
        result = result[:, pads[0] : pads[0] + cut[0], pads[1] : pads[1] + cut[1], :]
    return _with_bias(node, result, operands[2:])


def _is_same(
    images_NHWC: Tensor, kernel: tuple[int, ...], strides: tuple[int, ...], pads: Sequence[int], cut: list[int]
) -> bool:
    """Whether SAME cuts exactly there: it leaves size * stride and takes the smaller half in front."""
    return all(
        cut[axis] == images_NHWC.shape[axis + 1] * strides[axis]
        and pads[axis] == max(0, kernel[axis] - strides[axis]) // 2
        for axis in (0, 1)
    )


def batch_normalisation(node: Node, operands: Sequence[Operand]) -> Tensor:
    """BatchNormalization in inference as one scale and shift, which TFLite folds into a convolution before it."""
    images_NHWC = image(node, operands[0])
    gamma, beta, mean, variance = (constant(node, operand).astype(np.float64) for operand in operands[1:5])
    scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return images_NHWC * scale.astype(np.float32) + (beta - mean * scale).astype(np.float32)
