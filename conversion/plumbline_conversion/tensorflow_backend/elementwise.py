"""Activations and arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from plumbline_conversion.graph import Node
from plumbline_conversion.tensorflow_backend.layout import Operand, Tensor, broadcastable, constant, image

Handler = Callable[[Node, Sequence[Operand]], Tensor]


def unary(function: Callable[[Tensor], Tensor]) -> Handler:
    """A handler for an operator of one tensor and no attributes."""

    def handle(node: Node, operands: Sequence[Operand]) -> Tensor:
        return function(image(node, operands[0]))

    return handle


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Handler:
    """A handler for an operator of two operands that broadcast; either may be constant."""

    def handle(node: Node, operands: Sequence[Operand]) -> Tensor:
        left, right = (broadcastable(operand) for operand in operands)
        return function(left, right)

    return handle


def leaky_relu(node: Node, operands: Sequence[Operand]) -> Tensor:
    """LeakyRelu."""
    return tf.nn.leaky_relu(image(node, operands[0]), alpha=node.attributes.get("alpha", 0.01))


def clip(node: Node, operands: Sequence[Operand]) -> Tensor:
    """Clip between constants; (0, 6) is ReLU6, a fused activation in TFLite."""
    images_NHWC = image(node, operands[0])
    low, high = (_bound(node, operands[index : index + 1]) for index in (1, 2))
    if low == 0 and high == 6:
        return tf.nn.relu6(images_NHWC)
    if low is not None:
        images_NHWC = tf.nn.relu(images_NHWC) if low == 0 else tf.maximum(images_NHWC, np.float32(low))
    return images_NHWC if high is None else tf.minimum(images_NHWC, np.float32(high))


def _bound(node: Node, operand: Sequence[Operand]) -> float | None:
    return float(constant(node, operand[0]).item()) if operand and operand[0] is not None else None


def hard_sigmoid(node: Node, operands: Sequence[Operand]) -> Tensor:
    """HardSigmoid: alpha x + beta between 0 and 1, through ReLU6 because that is fused."""
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    scaled = image(node, operands[0]) * np.float32(6 * alpha) + np.float32(6 * beta)
    return tf.nn.relu6(scaled) * np.float32(1 / 6)


def hard_swish(node: Node, operands: Sequence[Operand]) -> Tensor:
    """HardSwish in the one form that TFLite recognises as HARD_SWISH."""
    images_NHWC = image(node, operands[0])
    return images_NHWC * tf.nn.relu6(images_NHWC + np.float32(3)) * np.float32(1 / 6)
