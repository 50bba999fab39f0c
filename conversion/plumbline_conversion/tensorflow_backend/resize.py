"""Resizing, written so that XNNPACK takes the whole graph as one piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import tensorflow as tf

from plumbline_conversion.graph import Node
from plumbline_conversion.tensorflow_backend.layout import Operand, Tensor, constant, image

MAX_CONCAT_INPUTS: Final = 4
"""XNNPACK leaves a CONCATENATION of more tensors to the slower built-in kernel, which would split the graph."""


def resize(node: Node, operands: Sequence[Operand]) -> Tensor:
    """Resize: nearest by whole factors, or linear in each of its coordinate systems."""
    images_NHWC = image(node, operands[0])
    if node.attributes.get("antialias", 0) or "axes" in node.attributes:
        raise node.unsupported("antialias and axes are not translated")
    size = _target_size(node, images_NHWC, operands)
    mode = node.attributes.get("mode", b"nearest").decode()
    if mode == "nearest":
        return _nearest(node, images_NHWC, size)
    if mode == "linear":
        return _linear(node, images_NHWC, size)
    raise node.unsupported(f"mode {mode!r} is not translated; use nearest or bilinear")


def _target_size(node: Node, images_NHWC: Tensor, operands: Sequence[Operand]) -> tuple[int, int]:
    """(height, width) after the resize, from the inputs roi, scales, sizes."""
    scales = operands[2] if len(operands) > 2 else None
    sizes = operands[3] if len(operands) > 3 else None
    height, width, channels = images_NHWC.shape[1:]
    if sizes is not None and constant(node, sizes).size == 4:
        target = [int(value) for value in sizes]
    elif scales is not None and constant(node, scales).size == 4:
        target = [int(size * scale) for size, scale in zip((1, channels, height, width), scales.tolist(), strict=True)]
    else:
        raise node.unsupported("needs constant scales or sizes for four axes")
    if target[:2] != [1, channels]:
        raise node.unsupported("resizes the batch or the channels")
    return target[2], target[3]


def _nearest(node: Node, images_NHWC: Tensor, size: tuple[int, int]) -> Tensor:
    """Repeat rows and columns. XNNPACK refuses RESIZE_NEAREST_NEIGHBOR, but takes CONCATENATION and RESHAPE."""
    height, width = images_NHWC.shape[1:3]
    if size[0] % height or size[1] % width:
        raise node.unsupported(f"nearest from {height}x{width} to {size[0]}x{size[1]} is no whole factor; use bilinear")
    factors = (size[0] // height, size[1] // width)
    coordinates = node.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = node.attributes.get("nearest_mode", b"round_prefer_floor").decode()
    centred = coordinates in ("half_pixel", "pytorch_half_pixel") and rounding.startswith("round_prefer")
    if factors != (1, 1) and not centred and (coordinates, rounding) != ("asymmetric", "floor"):
        raise node.unsupported(f"nearest with {coordinates!r} and {rounding!r} does not repeat pixels evenly")
    return _repeat(images_NHWC, *factors)


def _repeat(images_NHWC: Tensor, down: int, right: int) -> Tensor:
    """Each pixel `down` x `right` times: copies side by side in the last axes, then read in row-major order."""
    _, height, width, channels = images_NHWC.shape
    wide = tf.reshape(_copies(images_NHWC, right, axis=3), (1, height, width * right, channels))
    return tf.reshape(_copies(wide, down, axis=2), (1, height * down, width * right, channels))


def _copies(tensor: Tensor, count: int, axis: int) -> Tensor:
    """`count` copies of the tensor one after another, at most MAX_CONCAT_INPUTS in one CONCATENATION."""
    if count == 1:
        return tensor
    if count <= MAX_CONCAT_INPUTS:
        return tf.concat([tensor] * count, axis)
    factor = next((size for size in range(MAX_CONCAT_INPUTS, 1, -1) if count % size == 0), None)
    if factor is not None:
        return _copies(tf.concat([tensor] * factor, axis), count // factor, axis)
    return tf.concat([_copies(tensor, count - 1, axis), tensor], axis)


def _linear(node: Node, images_NHWC: Tensor, size: tuple[int, int]) -> Tensor:
    coordinates = node.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    if coordinates not in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        raise node.unsupported(f"coordinate_transformation_mode {coordinates!r} is not translated")
    if coordinates == "pytorch_half_pixel" and 1 in size:
        raise node.unsupported("pytorch_half_pixel down to one pixel is not translated")
    return tf.raw_ops.ResizeBilinear(
        images=images_NHWC,
        size=size,
        align_corners=coordinates == "align_corners",
        half_pixel_centers=coordinates.endswith("half_pixel"),
    )
