"""Every operator against onnxruntime, on sizes that are odd, even and unequal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import tensorflow as tf
from tests.conversion.graphs import GraphBuilder, run_onnx

from plumbline_conversion.errors import UnsupportedUse
from plumbline_conversion.graph import read_graph
from plumbline_conversion.tensorflow_backend.operators import OPERATORS
from plumbline_conversion.tensorflow_backend.translate import TranslatedModel

Build = Callable[[GraphBuilder], str]
TOLERANCE = 2e-5

HALF_PIXEL: dict[str, Any] = {"coordinate_transformation_mode": "half_pixel"}
TORCH_NEAREST: dict[str, Any] = {
    "mode": "nearest",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}


def conv(outputs: int = 8, kernel: tuple[int, int] = (3, 3), group: int = 1, **attributes: Any) -> Build:
    def build(b: GraphBuilder) -> str:
        features = b.node("Conv", "image", b.weight(8, 3, 1, 1))
        weights = [b.weight(outputs, 8 // group, *kernel), b.weight(outputs)]
        return b.node("Conv", features, *weights, group=group, **attributes)

    return build


def conv_transpose(kernel: int, **attributes: Any) -> Build:
    return lambda b: b.node("ConvTranspose", "image", b.weight(3, 5, kernel, kernel), b.weight(5), **attributes)


def simple(op_type: str, **attributes: Any) -> Build:
    return lambda b: b.node(op_type, "image", **attributes)


def with_constants(op_type: str, *constants: npt.ArrayLike, **attributes: Any) -> Build:
    return lambda b: b.node(op_type, "image", *(b.constant(values) for values in constants), **attributes)


def resize(scales: list[float], **attributes: Any) -> Build:
    return lambda b: b.node("Resize", "image", "", b.constant(scales), **attributes)


def resize_to(height: int, width: int, **attributes: Any) -> Build:
    return lambda b: b.node("Resize", "image", "", "", b.constant([1, 3, height, width], np.int64), **attributes)


def reduce_mean(b: GraphBuilder) -> str:
    if b.opset < 18:
        return b.node("ReduceMean", "image", axes=[2, 3], keepdims=1)
    return b.node("ReduceMean", "image", b.constant([-2, -1], np.int64), keepdims=1)


def batch_norm(b: GraphBuilder) -> str:
    return b.node("BatchNormalization", "image", b.weight(3), b.weight(3), b.weight(3), b.constant([0.5, 1.0, 2.0]))


def channel_attention(b: GraphBuilder) -> str:
    pooled = b.node("GlobalAveragePool", "image")
    return b.node("Mul", "image", b.node("Sigmoid", b.node("Conv", pooled, b.weight(3, 3, 1, 1))))


def concat(b: GraphBuilder) -> str:
    return b.node("Concat", "image", b.node("Relu", "image"), b.node("Tanh", "image"), axis=1)


def concat_rows(b: GraphBuilder) -> str:
    return b.node("Concat", "image", "image", axis=-2)


def slicing(*bounds: list[int]) -> Build:
    """Starts, ends and, where given, axes and steps."""
    return lambda b: b.node("Slice", "image", *(b.constant(values, np.int64) for values in bounds))


def pad(b: GraphBuilder) -> str:
    return b.node("Pad", "image", b.constant([0, 1, 2, 3, 0, 0, 1, 4], np.int64), b.constant(0.25))


CASES: dict[str, Build] = {
    "conv 3x3 stride 1": conv(pads=[1, 1, 1, 1]),
    "conv 3x3 stride 2 padded as PyTorch does": conv(pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv 3x3 stride 2 unpadded": conv(strides=[2, 2]),
    "conv 1x1 stride 2": conv(kernel=(1, 1), strides=[2, 2]),
    "conv 7x7 stride 2": conv(kernel=(7, 7), pads=[3, 3, 3, 3], strides=[2, 2]),
    "conv 3x5 with unequal pads": conv(kernel=(3, 5), pads=[0, 2, 1, 1]),
    "conv dilated": conv(pads=[2, 2, 2, 2], dilations=[2, 2]),
    "conv grouped": conv(group=2, pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv depthwise": conv(group=8, pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv depthwise 5x5": conv(group=8, kernel=(5, 5), pads=[2, 2, 2, 2]),
    "conv depthwise with multiplier": conv(outputs=16, group=8, pads=[1, 1, 1, 1]),
    "conv SAME_UPPER": conv(auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv SAME_LOWER": conv(auto_pad="SAME_LOWER", strides=[2, 2]),
    "conv auto VALID": conv(auto_pad="VALID"),
    "transposed conv 4x4": conv_transpose(4, strides=[2, 2], pads=[1, 1, 1, 1]),
    "transposed conv 2x2": conv_transpose(2, strides=[2, 2]),
    "transposed conv 3x3 with output padding": conv_transpose(
        3, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
    ),
    "transposed conv 3x3": conv_transpose(3, strides=[2, 2], pads=[1, 1, 1, 1]),
    "transposed conv 1x1": conv_transpose(1),
    "batch normalisation": batch_norm,
    "relu": simple("Relu"),
    "leaky relu": simple("LeakyRelu", alpha=0.1),
    "sigmoid": simple("Sigmoid"),
    "tanh": simple("Tanh"),
    "hard sigmoid": simple("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard swish": simple("HardSwish"),
    "identity": simple("Identity"),
    "dropout": simple("Dropout"),
    "clip to relu6": with_constants("Clip", 0.0, 6.0),
    "clip from below": with_constants("Clip", -0.5),
    "clip to an interval": with_constants("Clip", -0.5, 0.75),
    "add scalar": with_constants("Add", 0.5),
    "add channels": with_constants("Add", np.arange(3).reshape(3, 1, 1)),
    "add 1d broadcast along the width": with_constants("Add", [0.5]),
    "slice to the end": slicing([1], [2**63 - 1], [3]),
    "slice rows and columns by two": slicing([-8, 0], [12, -1], [2, 3], [2, 2]),
    "slice channels": slicing([0, 1, 0], [1, 3, 100]),
    "subtract": with_constants("Sub", np.arange(3).reshape(1, 3, 1, 1)),
    "multiply": with_constants("Mul", np.arange(3).reshape(1, 3, 1, 1)),
    "divide": with_constants("Div", 4.0),
    "constant on the left": lambda b: b.node("Sub", b.constant(np.arange(3).reshape(3, 1, 1)), "image"),
    "add the image to itself": lambda b: b.node("Add", "image", "image"),
    "channel attention": channel_attention,
    "concat channels": concat,
    "concat rows": concat_rows,
    "pad": pad,
    "max pool": simple("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "max pool 2x2": simple("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "max pool 2x2 rounded up": simple("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "max pool 3x3 rounded up": simple("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
    "max pool 1x1 rounded up, no window beyond": simple("MaxPool", kernel_shape=[1, 1], strides=[2, 2], ceil_mode=1),
    "average pool": simple("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "average pool, padding counts": simple("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "average pool, padding does not count": simple("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "global average pool": simple("GlobalAveragePool"),
    "mean of rows and columns": reduce_mean,
    "nearest 1x": resize([1, 1, 1, 1], **TORCH_NEAREST),
    "nearest 2x": resize([1, 1, 2, 2], **TORCH_NEAREST),
    "nearest 3x": resize([1, 1, 3, 3], **TORCH_NEAREST),
    "nearest 4x": resize([1, 1, 4, 4], **TORCH_NEAREST),
    "nearest 7x1": resize([1, 1, 7, 1], **TORCH_NEAREST),
    "nearest 8x": resize([1, 1, 8, 8], **TORCH_NEAREST),
    "nearest 2x half pixel": resize([1, 1, 2, 2], mode="nearest", **HALF_PIXEL),
    "linear 2x": resize([1, 1, 2, 2], mode="linear", **HALF_PIXEL),
    "linear 4x, PyTorch's": resize([1, 1, 4, 4], mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    "linear asymmetric": resize([1, 1, 2, 2], mode="linear", coordinate_transformation_mode="asymmetric"),
    "linear with aligned corners": resize_to(31, 20, mode="linear", coordinate_transformation_mode="align_corners"),
    "linear to a size": resize_to(9, 30, mode="linear", **HALF_PIXEL),
}

UNSUPPORTED: dict[str, tuple[Build, str]] = {
    "nearest by a fraction": (resize_to(20, 20, **TORCH_NEAREST), "no whole factor"),
    "nearest, rounded up": (
        resize([1, 1, 2, 2], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="ceil"),
        "does not repeat pixels",
    ),
    "cubic": (resize([1, 1, 2, 2], mode="cubic"), "'cubic'"),
    "grouped transposed conv": (
        lambda b: b.node("ConvTranspose", "image", b.weight(3, 1, 2, 2), group=3, strides=[2, 2]),
        "grouped",
    ),
    "backward slice": (slicing([-1], [-9], [2], [-1]), "backwards"),
    "ceil mode": (simple("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), "ceil_mode"),
    "reflecting pad": (
        lambda b: b.node("Pad", "image", b.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="reflect"),
        "constant",
    ),
    "mean that drops axes": (lambda b: b.node("ReduceMean", "image", axes=[2, 3], keepdims=0), "keepdims=1"),
    "kernel for other channels": (lambda b: b.node("Conv", "image", b.weight(4, 2, 1, 1)), "3 channels"),
    "weights from the image": (
        lambda b: b.node("Conv", "image", b.node("Conv", "image", b.weight(4, 3, 12, 7)), pads=[1, 1, 1, 1]),
        "constant",
    ),
}


def translated(model: onnx.ModelProto, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    images_NHWC = np.ascontiguousarray(images_NCHW.transpose(0, 2, 3, 1))
    # TensorFlow's own CPU kernels, no part of the product, cannot run a grouped convolution fused with its bias.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    heatmaps_NHWC = TranslatedModel(read_graph(model)).heatmaps(images_NHWC)["heatmaps"].numpy()
    return np.asarray(heatmaps_NHWC.transpose(0, 3, 1, 2))


def test_every_operator_has_a_case() -> None:
    used = set()
    for build in CASES.values():
        b = GraphBuilder()
        build(b)
        used |= {node.op_type for node in b.nodes}
    assert used == set(OPERATORS)


@pytest.mark.parametrize("size", [(14, 9), (13, 12)], ids=["14x9", "13x12"])
@pytest.mark.parametrize("case", CASES)
def test_operator_gives_what_onnxruntime_gives(case: str, size: tuple[int, int]) -> None:
    b = GraphBuilder((1, 3, *size))
    model = b.model(CASES[case](b))
    images = np.random.default_rng(1).normal(size=(1, 3, *size)).astype(np.float32)
    expected = run_onnx(model, images)
    actual = translated(model, images)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("opset", [13, 18, 20])
@pytest.mark.parametrize("case", ["mean of rows and columns", "nearest 2x", "linear 2x", "clip to relu6", "pad"])
def test_operators_that_changed_between_opsets(case: str, opset: int) -> None:
    b = GraphBuilder((1, 3, 14, 9), opset)
    model = b.model(CASES[case](b))
    images = np.random.default_rng(1).normal(size=(1, 3, 14, 9)).astype(np.float32)
    np.testing.assert_allclose(translated(model, images), run_onnx(model, images), atol=TOLERANCE)


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_use_names_the_node_and_the_reason(case: str) -> None:
    build, reason = UNSUPPORTED[case]
    b = GraphBuilder((1, 3, 14, 9))
    model = b.model(build(b))
    with pytest.raises(UnsupportedUse, match=reason) as caught:
        TranslatedModel(read_graph(model))
    assert "/module.stage." in str(caught.value)
