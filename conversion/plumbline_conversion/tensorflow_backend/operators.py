"""Which handler translates which ONNX operator. Constant operators never come here: the graph folds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import tensorflow as tf

from plumbline_conversion.tensorflow_backend import arrangement, convolution, elementwise, pooling, resize
from plumbline_conversion.tensorflow_backend.elementwise import Handler, binary, unary

OPERATORS: Final[Mapping[str, Handler]] = {
    "Add": binary(tf.add),
    "AveragePool": pooling.average_pool,
    "BatchNormalization": convolution.batch_normalisation,
    "Clip": elementwise.clip,
    "Concat": arrangement.concat,
    "Conv": convolution.conv,
    "ConvTranspose": convolution.conv_transpose,
    "Div": binary(tf.divide),
    "Dropout": arrangement.identity,
    "GlobalAveragePool": pooling.global_average_pool,
    "HardSigmoid": elementwise.hard_sigmoid,
    "HardSwish": elementwise.hard_swish,
    "Identity": arrangement.identity,
    "LeakyRelu": elementwise.leaky_relu,
    "MaxPool": pooling.max_pool,
    "Mul": binary(tf.multiply),
    "Pad": arrangement.pad,
    "ReduceMean": pooling.reduce_mean,
    "Relu": unary(tf.nn.relu),
    "Resize": resize.resize,
    "Sigmoid": unary(tf.sigmoid),
    "Slice": arrangement.cut,
    "Sub": binary(tf.subtract),
    "Tanh": unary(tf.tanh),
}
