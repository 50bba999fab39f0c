"""What each operator costs, timed alone: a runtime that takes a graph as one piece tells nothing of its insides."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from plumbline_conversion.litert import open_interpreter
from plumbline_conversion.tflite_file import Layer, layers, operator_alone, read_model

RUNS: Final = 5


class LayerCost(BaseModel):
    """One operator, timed as a model of its own on one thread."""

    layer: str
    operator: str
    macs: int
    activation_bytes: int
    weight_bytes: int
    seconds: float
    integer: bool


def operator_costs(tflite_path: Path) -> list[LayerCost]:
    """Every operator in the order of computation; operators of one kind and shape are timed once."""
    model = read_model(tflite_path.read_bytes())
    timed: dict[tuple[object, ...], float] = {}
    costs = []
    for layer in layers(tflite_path):
        kind = _kind(model, layer)
        if kind not in timed:
            timed[kind] = _seconds(operator_alone(model, layer.index))
        costs.append(
            LayerCost(
                layer=layer.label,
                operator=layer.operator,
                macs=layer.macs,
                activation_bytes=layer.activation_bytes,
                weight_bytes=layer.weight_bytes,
                seconds=timed[kind],
                integer=layer.integer,
            )
        )
    return costs


def _kind(model: Any, layer: Layer) -> tuple[object, ...]:
    (graph,) = model.subgraphs
    operator = graph.operators[layer.index]
    tensors = [graph.tensors[index] for index in [*operator.inputs, *operator.outputs] if index >= 0]
    options = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    shapes = tuple((tuple(tensor.shape), tensor.type) for tensor in tensors)
    return layer.operator, shapes, tuple(sorted((name, str(value)) for name, value in options.items()))


def _seconds(content: bytes) -> float:
    interpreter = open_interpreter(content)
    for source in interpreter.get_input_details():
        interpreter.set_tensor(source["index"], np.zeros(source["shape"], source["dtype"]))
    interpreter.invoke()
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        interpreter.invoke()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
