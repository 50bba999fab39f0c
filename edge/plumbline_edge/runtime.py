"""The pose network on this device. The one file that imports LiteRT: the rest sees the PoseModel protocol.

Axes: N one crop, K keypoints, H and W rows and columns, C or 3 colour channels.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from plumbline_contract.manifest import FormManifest, InputSpec, Manifest, OutputSpec
from plumbline_contract.preprocess import dequantise
from plumbline_edge.errors import BundleUnusable

INTERPRETER_MODULES: Final = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
"""In order of preference. Both put float and int8 graphs on XNNPACK by default where they were built with it."""

Heatmaps = npt.NDArray[np.float32]


class PoseModel(Protocol):
    """A network from a crop of one person to heatmaps."""

    @property
    def manifest(self) -> Manifest:
        """What the model takes and gives."""

    def infer(self, tensor_NHWC: npt.NDArray[Any]) -> Heatmaps:
        """One crop as `plumbline_contract.preprocess.to_tensor` gives it -> heatmaps (K, H, W) float32, dequantised."""


class LiteRTModel:
    """A PoseModel run by LiteRT (or its forerunner tflite-runtime) on the CPU."""

    def __init__(self, model_file: Path, manifest: Manifest, threads: int) -> None:
        """Load the graph. Raises BundleUnusable when it does not parse or is not what the manifest says."""
        self.manifest: Manifest = manifest
        interpreter_class = _interpreter_class()
        try:
            self._interpreter = interpreter_class(model_path=str(model_file), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BundleUnusable(
                f"{str(model_file)!r} is no model that LiteRT can run ({str(error).splitlines()[0]}); fetch or convert"
                " the bundle again"
            ) from error
        self._input = self._tensor_index("input", self._interpreter.get_input_details(), manifest.input)
        self._output = self._tensor_index("output", self._interpreter.get_output_details(), manifest.output)

    @staticmethod
    def _tensor_index(side: str, details: list[dict[str, Any]], spec: InputSpec | OutputSpec) -> int:
        channels = 3 if isinstance(spec, InputSpec) else len(spec.keypoints)
        area = (spec.height, spec.width)
        expected = (1, *area, channels) if spec.layout == "NHWC" else (1, channels, *area)
        actual = [(tuple(int(side) for side in detail["shape"]), np.dtype(detail["dtype"]).name) for detail in details]
        if actual != [(expected, spec.dtype)]:
            raise BundleUnusable(
                f"the model's {side} is {actual}, its manifest says {[(expected, spec.dtype)]}; the bundle was put"
                " together wrongly, convert it again"
            )
        return int(details[0]["index"])

    def infer(self, tensor_NHWC: npt.NDArray[Any]) -> Heatmaps:
        """One crop's tensor -> heatmaps (K, H, W) float32."""
        self._interpreter.set_tensor(self._input, tensor_NHWC)
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._output)[0]
        spec = self.manifest.output
        raw_KHW = np.moveaxis(raw, -1, 0) if spec.layout == "NHWC" else raw
        if spec.quantisation is not None:
            return dequantise(raw_KHW, spec.quantisation.scale, spec.quantisation.zero_point)
        return np.asarray(raw_KHW, dtype=np.float32)


class LiteRTFormModel:
    """A judge of form run by LiteRT on one core."""

    def __init__(self, model_file: Path, manifest: FormManifest) -> None:
        """Load the graph. Raises BundleUnusable when it does not parse or is not what the manifest says."""
        self._manifest = manifest
        try:
            self._interpreter = _interpreter_class()(model_path=str(model_file), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BundleUnusable(
                f"{str(model_file)!r} is no model that LiteRT can run ({str(error).splitlines()[0]}); fetch or convert"
                " the bundle again"
            ) from error
        sides = (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        actual = [(tuple(int(size) for size in side[0]["shape"]), np.dtype(side[0]["dtype"]).name) for side in sides]
        spec, source, target = manifest.spec, manifest.input.dtype, manifest.output.dtype
        expected = [((1, spec.frames, 1, spec.channels), source), ((1, 1, 1, spec.logits), target)]
        if actual != expected:
            raise BundleUnusable(f"the judge's tensors are {actual}, its manifest says {expected}; convert it again")
        self._input, self._output = (int(side[0]["index"]) for side in sides)

    def infer(self, window_WC: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """One window -> logits (L,) float32."""
        source, target = self._manifest.input.quantisation, self._manifest.output.quantisation
        numbers: npt.NDArray[Any] = window_WC[None, :, None]
        if source is not None:
            numbers = np.clip(np.round(numbers / source.scale) + source.zero_point, -128, 127).astype(np.int8)
        self._interpreter.set_tensor(self._input, numbers)
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._output).reshape(-1)
        if target is not None:
            return dequantise(raw, target.scale, target.zero_point)
        return np.asarray(raw, dtype=np.float32)


def _interpreter_class() -> Any:
    for module in INTERPRETER_MODULES:
        try:
            return import_module(module).Interpreter
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise
    raise BundleUnusable("no runtime for the model is installed; run: pip install ai-edge-litert")
