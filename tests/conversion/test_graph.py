"""Constants are folded, unused nodes dropped, and contradictions found before TensorFlow sees the graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tests.conversion.graphs import GraphBuilder

from plumbline_conversion.errors import UnreadableModel
from plumbline_conversion.graph import read_graph


def test_sizes_computed_in_the_graph_become_constants() -> None:
    build = GraphBuilder(("N", 3, 8, 6))
    features = build.node("Conv", "image", build.weight(4, 3, 2, 2), strides=[2, 2])
    spatial = build.node("Slice", build.node("Shape", features), *(build.constant([n], np.int64) for n in (2, 4)))
    doubled = build.node("Mul", spatial, build.constant([2], np.int64))
    sizes = build.node("Concat", build.constant([1, 4], np.int64), doubled, axis=0)
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    graph = read_graph(build.model(build.node("Resize", features, "", "", sizes, **modes)))
    assert [node.op_type for node in graph.nodes] == ["Conv", "Resize", "Identity"]
    assert graph.constants[graph.nodes[1].inputs[3]].tolist() == [1, 4, 8, 6]
    assert graph.input_shape == (1, 3, 8, 6)


def test_constant_nodes_fold_and_unused_nodes_go() -> None:
    build = GraphBuilder((1, 3, 8, 6))
    half = build.node("Constant", value=onnx.numpy_helper.from_array(np.array(0.5, np.float32)))
    build.node("Tanh", "image")
    graph = read_graph(build.model(build.node("Mul", "image", half)))
    assert [node.op_type for node in graph.nodes] == ["Mul", "Identity"]
    assert graph.constants[half] == np.float32(0.5)


def test_shapes_that_contradict_each_other() -> None:
    build = GraphBuilder((1, 3, 8, 6))
    model = build.model(build.node("Add", "image", build.weight(1, 3, 5, 6)))
    with pytest.raises(UnreadableModel, match="contradict"):
        read_graph(model)


def test_input_that_is_no_image() -> None:
    build = GraphBuilder((1, 3))
    with pytest.raises(UnreadableModel, match="2 axes"):
        read_graph(build.model(build.node("Relu", "image")))
