"""Float files with smaller weights: float16, or int8 with float activations ("dynamic range").

Both are edits of the float TFLite file, the same that TensorFlow Lite's converter makes, without its time and memory:
for HRNet-W32 it needs 20 s and 3.8 GB each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from plumbline_conversion.tflite_file import (
    activations,
    constant_of,
    new_buffer,
    operator_code,
    read_model,
    write_model,
)

CHANNEL_AXIS: Final = {schema.BuiltinOperator.CONV_2D: 0, schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3}
"""Operators with kernels that take int8 weights beside float activations -> the axis of the output channels."""
LEAST_ELEMENTS: Final = 1024
"""Smaller kernels stay in float, as in TensorFlow Lite: quantising the activations costs more than it saves."""
INT8_LIMIT: Final = 127


def with_half_weights(content: bytes) -> bytes:
    """Every float constant as float16, unpacked by a DEQUANTIZE that runtimes fold when they load the file."""
    model = read_model(content)
    (graph,) = model.subgraphs
    unpacking = []
    for index in list(_float_constants(model)):
        tensor = graph.tensors[index]
        packed = schema.TensorT()
        packed.name, packed.shape, packed.type = tensor.name + b"/half", tensor.shape, schema.TensorType.FLOAT16
        packed.buffer = new_buffer(model, constant_of(model, tensor).astype(np.float16))
        graph.tensors.append(packed)
        tensor.buffer = new_buffer(model, None)
        operator = schema.OperatorT()
        operator.opcodeIndex = operator_code(model, schema.BuiltinOperator.DEQUANTIZE, version=3)
        operator.inputs, operator.outputs = [len(graph.tensors) - 1], [index]
        operator.builtinOptions = schema.DequantizeOptionsT()
        operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
        unpacking.append(operator)
    graph.operators = [*unpacking, *graph.operators]
    return _written(model)


def _written(model: Any) -> bytes:
    """The file without the values that nothing refers to any more."""
    used = {int(tensor.buffer) for tensor in model.subgraphs[0].tensors}
    used |= {int(entry.buffer) for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    return write_model(model)


def _float_constants(model: Any) -> Iterator[int]:
    (graph,) = model.subgraphs
    moving = set(activations(model))
    used = dict.fromkeys(int(index) for operator in graph.operators for index in operator.inputs if index >= 0)
    for index in used:
        if index not in moving and graph.tensors[index].type == schema.TensorType.FLOAT32:
            yield index


def with_int8_weights(content: bytes) -> bytes:
    """Kernels as int8 with a scale for each output channel; activations are quantised while the graph runs."""
    model = read_model(content)
    (graph,) = model.subgraphs
    done: set[int] = set()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if code.builtinCode not in CHANNEL_AXIS or graph.tensors[operator.inputs[1]].type != schema.TensorType.FLOAT32:
            continue
        index, axis = int(operator.inputs[1]), CHANNEL_AXIS[code.builtinCode]
        kernel = constant_of(model, graph.tensors[index])
        if index not in done and kernel.size >= LEAST_ELEMENTS:
            _quantise(model, graph.tensors[index], kernel, axis)
            done.add(index)
    return _written(model)


def _quantise(model: Any, tensor: Any, kernel: npt.NDArray[np.float32], axis: int) -> None:
    others = tuple(number for number in range(kernel.ndim) if number != axis)
    scales = np.maximum(np.abs(kernel).max(axis=others, keepdims=True) / INT8_LIMIT, 1e-12)
    steps = np.clip(np.rint(kernel / scales), -INT8_LIMIT, INT8_LIMIT).astype(np.int8)
    tensor.type, tensor.buffer = schema.TensorType.INT8, new_buffer(model, steps)
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = scales.reshape(-1).astype(np.float32)
    tensor.quantization.zeroPoint = np.zeros(scales.size, np.int64)
    tensor.quantization.quantizedDimension = axis
