"""Operators that move values and change none."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from plumbline_conversion.graph import Node
from plumbline_conversion.tensorflow_backend.layout import NHWC_AXIS, Operand, Tensor, constant, image, nhwc_axis


def identity(node: Node, operands: Sequence[Operand]) -> Tensor:
    """Identity, and Dropout in inference."""
    return image(node, operands[0])


def concat(node: Node, operands: Sequence[Operand]) -> Tensor:
    """Concat of image tensors."""
    return tf.concat([image(node, operand) for operand in operands], nhwc_axis(node, node.attributes["axis"]))


def cut(node: Node, operands: Sequence[Operand]) -> Tensor:
    """Slice with constant bounds that goes forward."""
    images_NHWC = image(node, operands[0])
    starts, ends = constant(node, operands[1]).tolist(), constant(node, operands[2]).tolist()
    axes = _given(node, operands, 3, list(range(len(starts))))
    steps = _given(node, operands, 4, [1] * len(starts))
    if min(steps) < 1:
        raise node.unsupported(f"steps {steps} go backwards; only forward ones are translated")
    kept_NHWC = [slice(None)] * 4
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        position = nhwc_axis(node, axis)
        # ONNX clamps the bounds to the axis and so does Python; to the end is written as 2**63 - 1, beyond int32.
        kept_NHWC[position] = slice(*slice(start, end, step).indices(images_NHWC.shape[position]))
    return images_NHWC[tuple(kept_NHWC)]


def _given(node: Node, operands: Sequence[Operand], index: int, default: list[int]) -> list[int]:
    """The constant operand of that index as a list, or the default where it is left out."""
    if len(operands) <= index or operands[index] is None:
        return default
    values: list[int] = constant(node, operands[index]).tolist()
    return values


def pad(node: Node, operands: Sequence[Operand]) -> Tensor:
    """Pad with a constant, on all four axes (no `axes` input)."""
    pads = constant(node, operands[1]).tolist()
    if node.attributes.get("mode", b"constant") != b"constant" or len(pads) != 8 or min(pads) < 0:
        raise node.unsupported("only padding with a constant, growing, on four axes is translated")
    fill = constant(node, operands[2]).item() if len(operands) > 2 and operands[2] is not None else 0
    pairs_NHWC = [(0, 0)] * 4
    for axis in range(4):
        pairs_NHWC[NHWC_AXIS[axis]] = (pads[axis], pads[axis + 4])
    return tf.pad(image(node, operands[0]), pairs_NHWC, constant_values=fill)
