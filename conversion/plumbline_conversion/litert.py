"""The one file that imports LiteRT: runs a TFLite model and says what its graph is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from plumbline_contract.manifest import Quantisation
from plumbline_contract.preprocess import dequantise
from plumbline_conversion.errors import ConversionFailed

RUNTIME: Final = f"ai-edge-litert {version('ai-edge-litert')}"


@dataclass(frozen=True)
class TensorFacts:
    """Shape, type and quantisation of a model's input or output; quantisation is None for floats."""

    shape: tuple[int, ...]
    dtype: str
    quantisation: Quantisation | None


@dataclass(frozen=True)
class GraphFacts:
    """What the runtime makes of the graph."""

    operators: dict[str, int]
    """TFLite operator -> how often."""
    partitions: int
    """Pieces that XNNPACK takes; one is the fastest."""

    @property
    def transposes(self) -> int:
        """Number of TRANSPOSE operators."""
        return self.operators.get("TRANSPOSE", 0)


def open_interpreter(content: bytes, threads: int = 1) -> Any:
    """An interpreter of the file's bytes with its tensors allocated. Raises ValueError or RuntimeError."""
    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


class TFLiteModel:
    """A TFLite file with one input and one output. Raises ConversionFailed for a file that LiteRT cannot load."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            self._interpreter = open_interpreter(path.read_bytes(), threads)
        except (ValueError, RuntimeError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise ConversionFailed(f"{path}: LiteRT cannot load this file ({reason}); convert it again") from error
        (source,), (target,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input_index, self._output_index = source["index"], target["index"]
        self.input, self.output = _facts(source), _facts(target)

    def run(self, tensor_1HW3: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One input in the model's own numbers -> heatmaps (h, w, K) as real numbers."""
        self._interpreter.set_tensor(self._input_index, tensor_1HW3)
        self._interpreter.invoke()
        heatmaps_HWK: npt.NDArray[Any] = self._interpreter.get_tensor(self._output_index)[0]
        if self.output.quantisation is None:
            return heatmaps_HWK
        return dequantise(heatmaps_HWK, self.output.quantisation.scale, self.output.quantisation.zero_point)

    def graph_facts(self) -> GraphFacts:
        """Operators by name, counted before XNNPACK took them, and the number of pieces it took."""
        counts = Counter(operator["op_name"] for operator in self._interpreter._get_ops_details())
        partitions = counts.pop("DELEGATE", 0)
        return GraphFacts(dict(sorted(counts.items())), partitions)


def _facts(details: dict[str, Any]) -> TensorFacts:
    scale, zero_point = details["quantization"]
    quantisation = Quantisation(scale=float(scale), zero_point=int(zero_point)) if scale else None
    return TensorFacts(tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"]).name, quantisation)
