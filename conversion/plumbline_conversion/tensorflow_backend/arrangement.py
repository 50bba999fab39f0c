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
