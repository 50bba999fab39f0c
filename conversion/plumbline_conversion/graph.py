"""The ONNX graph as plain values: one batch, constants folded, only the nodes that the output needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.reference import ReferenceEvaluator

from plumbline_conversion.errors import UnreadableModel, UnsupportedUse
from plumbline_conversion.onnx_file import input_values

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Node:
    """One operator; an absent optional input has the name ''."""

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def label(self) -> str:
        """How messages call the node."""
        return f"{self.op_type} node {self.name!r}"

    def unsupported(self, problem: str) -> UnsupportedUse:
        """The error to raise when this node is used in a way that cannot be translated."""
        return UnsupportedUse(self.label, problem)


@dataclass(frozen=True)
class Graph:
    """Nodes in execution order; constants and shapes as ONNX has them (NCHW)."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    input_name: str
    input_shape: tuple[int, ...]
    output_name: str


def read_graph(model: onnx.ModelProto) -> Graph:
    """Fix the batch at one, fold what is constant, drop what is unused. Raises UnreadableModel, UnsupportedUse."""
    fixed = _with_batch_of_one(model)
    image = input_values(fixed.graph)[0]
    constants = {weight.name: _weight(weight) for weight in fixed.graph.initializer}
    shapes = {value.name: shape for value in fixed.graph.value_info if (shape := _static_shape(value)) is not None}
    opset = next(entry.version for entry in fixed.opset_import if entry.domain == "")
    nodes: list[Node] = []
    for index, proto in enumerate(fixed.graph.node):
        node = _node(proto, index)
        if folded := _fold(proto, node, constants, shapes, opset):
            constants.update(folded)
        else:
            nodes.append(node)
    output_name = fixed.graph.output[0].name
    input_shape = tuple(dim.dim_value for dim in image.type.tensor_type.shape.dim)
    return Graph(_needed(nodes, output_name), constants, image.name, input_shape, output_name)


def _weight(weight: onnx.TensorProto) -> Array:
    try:
        return np.asarray(onnx.numpy_helper.to_array(weight))
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableModel(f"weight {weight.name!r} is damaged ({error}); export the model again") from error


def _with_batch_of_one(model: onnx.ModelProto) -> onnx.ModelProto:
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    image = input_values(fixed.graph)[0].type.tensor_type
    if len(image.shape.dim) != 4:
        raise UnreadableModel(f"the input has {len(image.shape.dim)} axes; it must be (N, 3, height, width)")
    image.shape.dim[0].dim_value = 1
    for value in [*fixed.graph.output, *fixed.graph.value_info]:
        value.type.tensor_type.ClearField("shape")
    try:
        return onnx.shape_inference.infer_shapes(fixed, data_prop=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        reason = " ".join(str(error).split())
        raise UnreadableModel(f"the graph's shapes contradict each other ({reason}); export it again") from error


def _static_shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    dims = value.type.tensor_type.shape.dim
    sizes = tuple(dim.dim_value for dim in dims)
    return sizes if value.type.tensor_type.HasField("shape") and all(size > 0 for size in sizes) else None


def _node(proto: onnx.NodeProto, index: int) -> Node:
    attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in proto.attribute}
    op_type = f"{proto.domain}.{proto.op_type}" if proto.domain not in ("", "ai.onnx") else proto.op_type
    return Node(op_type, proto.name or f"#{index}", tuple(proto.input), tuple(proto.output), attributes)


def _fold(
    proto: onnx.NodeProto,
    node: Node,
    constants: Mapping[str, Array],
    shapes: Mapping[str, tuple[int, ...]],
    opset: int,
) -> dict[str, Array]:
    """The node's outputs when they do not depend on the image, else nothing."""
    if node.op_type == "Shape" and node.inputs[0] in shapes:
        window = slice(node.attributes.get("start", 0), node.attributes.get("end"))
        return {node.outputs[0]: np.array(shapes[node.inputs[0]][window], dtype=np.int64)}
    known = {name: constants[name] for name in node.inputs if name in constants}
    if len(known) < len([name for name in node.inputs if name]) or "." in node.op_type:
        return {}
    try:
        values = ReferenceEvaluator(proto, opsets={"": opset}).run(None, known)
    except NotImplementedError:
        return {}
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise node.unsupported(f"its constant result cannot be computed ({error})") from error
    return dict(zip(node.outputs, (np.asarray(value) for value in values), strict=True))


def _needed(nodes: list[Node], output_name: str) -> tuple[Node, ...]:
    wanted, kept = {output_name}, list[Node]()
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))
