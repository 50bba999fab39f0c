"""A TFLite file as plain objects: what each operator costs, and the few edits that conversion makes to it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

FILE_IDENTIFIER: Final = b"TFL3"
BYTES_OF: Final = {schema.TensorType.FLOAT32: 4, schema.TensorType.INT32: 4, schema.TensorType.FLOAT16: 2}
"""Every other type of our graphs has one byte."""
OPERATOR_NAMES: Final = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@dataclass(frozen=True)
class Layer:
    """One operator."""

    index: int
    operator: str
    output: str
    """Name of its output tensor, which is how a quantiser is told of the layer."""
    macs: int
    """Multiply-adds; 0 for what only moves or adds."""
    activation_bytes: int
    """Read and written, constants left out."""
    weight_bytes: int
    integer: bool
    """Whether its output is quantised."""

    @property
    def label(self) -> str:
        """The part of the name that a person reads: the ONNX node that the operator begins with."""
        return self.output.partition(";")[0].removesuffix(":0")


def read_model(content: bytes) -> Any:
    """The file as the schema's ModelT."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def write_model(model: Any) -> bytes:
    """The file's bytes."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def activations(model: Any) -> list[int]:
    """Indices of the tensors that depend on the image, in the order of computation; the input comes first."""
    (graph,) = model.subgraphs
    found = {int(graph.inputs[0]): None}
    for operator in graph.operators:
        if any(int(index) in found for index in operator.inputs):
            found.update((int(index), None) for index in operator.outputs)
    return list(found)


def names(model: Any, tensors: Sequence[int]) -> list[str]:
    """The tensors' names."""
    return [model.subgraphs[0].tensors[index].name.decode() for index in tensors]


def with_all_outputs(content: bytes) -> bytes:
    """The same graph giving every activation, so that a runtime keeps them and still computes as fast as it can."""
    model = read_model(content)
    model.subgraphs[0].outputs = np.array(activations(model)[1:], np.int32)
    model.signatureDefs = []
    return write_model(model)


def with_pixels(content: bytes) -> bytes:
    """A graph of pixels in [0, 1] as one of bytes: a DEQUANTIZE in front, or a QUANTIZE where the graph is in int8."""
    model = read_model(content)
    (graph,) = model.subgraphs
    taken = int(graph.inputs[0])
    inner = graph.tensors[taken]
    pixels = schema.TensorT()
    pixels.name, pixels.shape, pixels.shapeSignature = b"pixels", inner.shape, inner.shapeSignature
    pixels.type, pixels.buffer = schema.TensorType.UINT8, new_buffer(model, None)
    pixels.quantization = schema.QuantizationParametersT()
    pixels.quantization.scale, pixels.quantization.zeroPoint = [1 / 255], [0]
    graph.tensors.append(pixels)
    graph.operators.insert(0, _from_bytes(model, len(graph.tensors) - 1, taken))
    graph.inputs = [len(graph.tensors) - 1]
    for signature in model.signatureDefs or []:
        for tensor in signature.inputs:
            tensor.tensorIndex = len(graph.tensors) - 1
    return write_model(model)


def _from_bytes(model: Any, pixels: int, taken: int) -> Any:
    operator, code = schema.OperatorT(), schema.BuiltinOperator.DEQUANTIZE
    options, kind = schema.DequantizeOptionsT(), schema.BuiltinOptions.DequantizeOptions
    if model.subgraphs[0].tensors[taken].type == schema.TensorType.INT8:
        code = schema.BuiltinOperator.QUANTIZE
        options, kind = schema.QuantizeOptionsT(), schema.BuiltinOptions.QuantizeOptions
    operator.opcodeIndex, operator.inputs, operator.outputs = operator_code(model, code), [pixels], [taken]
    operator.builtinOptions, operator.builtinOptionsType = options, kind
    return operator


def new_buffer(model: Any, values: npt.NDArray[Any] | None) -> int:
    """Index of a new buffer that holds the values, or of an empty one as activations have."""
    buffer = schema.BufferT()
    if values is not None:
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def constant_of(model: Any, tensor: Any) -> npt.NDArray[np.float32]:
    """The values of a float32 constant."""
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    return data.view(np.float32).reshape(tensor.shape)


def operator_code(model: Any, builtin: int, version: int = 1) -> int:
    """Index of the operator's code, which is added where the file has none."""
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin and code.version == version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = builtin, version
    code.deprecatedBuiltinCode = min(builtin, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def with_ranges(content: bytes, ranges_N2: Any) -> bytes:
    """The graph with (minimum, maximum) written into every activation, in the order of `activations`."""
    model = read_model(content)
    for index, (low, high) in zip(activations(model), ranges_N2, strict=True):
        quantisation = schema.QuantizationParametersT()
        quantisation.min, quantisation.max = [float(low)], [float(high)]
        model.subgraphs[0].tensors[index].quantization = quantisation
    return write_model(model)


def layers(path: Path) -> list[Layer]:
    """What each operator of the file costs, in the order of computation."""
    model = read_model(path.read_bytes())
    (graph,) = model.subgraphs
    moving = set(activations(model))
    return [
        _layer(model, graph, number, operator, moving)
        for number, operator in enumerate(graph.operators)
        if int(operator.outputs[0]) in moving  # fp16 files also unpack their weights by operators
    ]


def _layer(model: Any, graph: Any, number: int, operator: Any, moving: set[int]) -> Layer:
    code = model.operatorCodes[operator.opcodeIndex]
    used = [int(index) for index in operator.inputs if index >= 0]
    made = [int(index) for index in operator.outputs]
    name = OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
    target = graph.tensors[made[0]]
    return Layer(
        index=number,
        operator=name,
        output=target.name.decode(),
        macs=_macs(name, [graph.tensors[index] for index in used], target),
        activation_bytes=sum(_size(graph.tensors[index]) for index in [*used, *made] if index in moving),
        weight_bytes=sum(_size(graph.tensors[index]) for index in used if index not in moving),
        integer=target.type in (schema.TensorType.INT8, schema.TensorType.UINT8),
    )


def _size(tensor: Any) -> int:
    return int(np.prod(tensor.shape, dtype=np.int64)) * BYTES_OF.get(tensor.type, 1)


def _macs(operator: str, used: Sequence[Any], target: Any) -> int:
    """Kernels are (O, kh, kw, I) for dense and transposed convolutions, (1, kh, kw, C) for depthwise ones."""
    positions = int(np.prod(target.shape[:-1], dtype=np.int64))
    if operator == "CONV_2D":
        return positions * int(np.prod(used[1].shape, dtype=np.int64))
    if operator == "DEPTHWISE_CONV_2D":
        return positions * int(np.prod(used[1].shape, dtype=np.int64))
    if operator == "TRANSPOSE_CONV":
        taken = int(np.prod(used[2].shape[:-1], dtype=np.int64))
        return taken * int(np.prod(used[1].shape, dtype=np.int64))
    return 0


def live_bytes(path: Path) -> int:
    """Most bytes of activations that are needed at once: no runtime's arena can be smaller."""
    model = read_model(path.read_bytes())
    (graph,) = model.subgraphs
    sizes = {index: _size(graph.tensors[index]) for index in activations(model)}
    first, last = {int(graph.inputs[0]): 0}, dict.fromkeys(sizes, 0)
    for number, operator in enumerate(graph.operators):
        first.update((int(index), number) for index in operator.outputs)
        last.update((int(index), number) for index in operator.inputs if int(index) in sizes)
    last.update((int(index), len(graph.operators)) for index in graph.outputs)
    return max(
        sum(size for index, size in sizes.items() if first[index] <= number <= last[index])
        for number in range(len(graph.operators))
    )


def operator_alone(model: Any, index: int) -> bytes:
    """One operator of the file as a model of its own, with its constants and what unpacks them."""
    (graph,) = model.subgraphs
    moving = set(activations(model))
    makers = {int(number): maker for maker in graph.operators for number in maker.outputs}
    operator = graph.operators[index]
    unpacking = [makers[int(n)] for n in operator.inputs if int(n) in makers and int(n) not in moving]
    chosen = [*unpacking, operator]
    used = dict.fromkeys(int(n) for one in chosen for n in [*one.inputs, *one.outputs] if n >= 0)
    place = {number: position for position, number in enumerate(used)}
    lone, inner = schema.ModelT(), schema.SubGraphT()
    lone.version, lone.buffers, lone.subgraphs = 3, [schema.BufferT()], [inner]
    lone.operatorCodes = model.operatorCodes
    inner.tensors = [_moved(graph.tensors[number], model, lone) for number in used]
    inner.inputs = [place[int(number)] for number in dict.fromkeys(operator.inputs) if int(number) in moving]
    inner.outputs = [place[int(number)] for number in operator.outputs]
    inner.operators = [_placed(one, place) for one in chosen]
    return write_model(lone)


def _placed(operator: Any, place: dict[int, int]) -> Any:
    placed = copy.copy(operator)
    placed.inputs = [place.get(int(number), -1) for number in operator.inputs]
    placed.outputs = [place[int(number)] for number in operator.outputs]
    return placed


def _moved(tensor: Any, source: Any, target: Any) -> Any:
    moved = copy.copy(tensor)
    target.buffers.append(source.buffers[tensor.buffer])
    moved.buffer = len(target.buffers) - 1
    return moved
