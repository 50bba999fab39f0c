"""Anything that gives keypoints for the person in a box: a torch net, an ONNX file, a TFLite bundle, MoveNet.

Axes: N crops, K keypoints, H and W rows and columns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from pydantic import ValidationError
from torch import nn

from plumbline_contract.box import Box
from plumbline_contract.decode import DECODERS, Alignment, DecodeMethod, Heatmaps, to_image
from plumbline_contract.manifest import (
    MANIFEST_FILE,
    ONNX_METADATA_KEY,
    ExportRecord,
    InputSpec,
    Manifest,
    Precision,
    Stage,
    parse_manifest,
)
from plumbline_contract.preprocess import Image, dequantise, extract_crop, to_tensor
from plumbline_contract.skeleton import MIRROR
from plumbline_training.errors import UnsupportedModel


class Predictor(Protocol):
    """Finds the 17 keypoints of one person."""

    @property
    def stage(self) -> Stage:
        """Which form of the model this is."""
        ...

    @property
    def precision(self) -> Precision:
        """Its numbers."""
        ...

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        """Keypoints (N, K, 3): x, y in image pixels and a score, for the person in each box."""
        ...


HeatmapModel = Callable[[Image], Heatmaps]
"""RGB crops (N, H, W, 3) uint8 -> heatmaps (N, K, h, w)."""


@dataclass(frozen=True)
class HeatmapPredictor:
    """Crop, heatmaps, decode; with `flip`, heatmaps are averaged with those of the mirrored crop.

    Maps aligned by pixel centres mirror onto themselves; those aligned by corners are first shifted by a pixel.
    """

    model: HeatmapModel
    height: int
    width: int
    stride: float
    box_padding: float
    decode: DecodeMethod
    stage: Stage
    precision: Precision
    flip: bool = False
    alignment: Alignment = "centre"

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        padded = [box.padded(self.box_padding) for box in boxes]
        pairs = [extract_crop(image_bgr_HW3, box, self.height, self.width) for box in padded]
        crops_NHW3 = np.stack([crop for crop, _ in pairs])
        heatmaps_NKHW = self.model(crops_NHW3)
        if self.flip:
            mirrored_NKHW = self.model(np.ascontiguousarray(crops_NHW3[:, :, ::-1]))[:, list(MIRROR), :, ::-1]
            if self.alignment == "corner":
                # Heatmap j is crop pixel 4j; mirrored it lies over 4j + 3, which is nearer to j + 1.
                mirrored_NKHW = np.concatenate([mirrored_NKHW[..., :1], mirrored_NKHW[..., :-1]], axis=-1)
            heatmaps_NKHW = (heatmaps_NKHW + mirrored_NKHW) / 2
        keypoints_NK3 = DECODERS[self.decode](heatmaps_NKHW)
        return np.stack(
            [
                to_image(points, self.stride, matrix, self.alignment)
                for points, (_, matrix) in zip(keypoints_NK3, pairs, strict=True)
            ]
        )


def torch_model(net: nn.Module, spec: InputSpec) -> HeatmapModel:
    """A net in evaluation mode, in float32 on whatever device it is on."""

    def run(crops_NHW3: Image) -> Heatmaps:
        device = next(net.parameters()).device
        with torch.inference_mode():
            heatmaps: torch.Tensor = net(torch.from_numpy(to_tensor(crops_NHW3, spec)).to(device))
        return np.asarray(heatmaps.float().cpu().numpy())

    return run


def onnx_predictor(path: Path) -> HeatmapPredictor:
    """An ONNX file that `plumbline-export` wrote. Raises UnsupportedModel for any other."""
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base of their own
        raise UnsupportedModel(f"{str(path)!r} is no ONNX model: {str(error).splitlines()[0]}") from error
    text = session.get_modelmeta().custom_metadata_map.get(ONNX_METADATA_KEY)
    if text is None:
        raise UnsupportedModel(f"{str(path)!r} has no {ONNX_METADATA_KEY!r} record; export it with plumbline-export")
    try:
        record = ExportRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise UnsupportedModel(
            f"{str(path)!r}: its {ONNX_METADATA_KEY!r} record is invalid: "
            f"{'.'.join(map(str, first['loc'])) or 'record'}: {first['msg']}; export it again"
        ) from error
    name = session.get_inputs()[0].name

    def run(crops_NHW3: Image) -> Heatmaps:
        tensor = to_tensor(crops_NHW3, record.input)
        return np.asarray(np.concatenate([session.run(None, {name: item[None]})[0] for item in tensor]))

    return _from_specs(run, record, "onnx", "fp32")


def tflite_predictor(bundle: Path, threads: int = 2) -> HeatmapPredictor:
    """The TFLite model of a bundle folder."""
    try:
        manifest = parse_manifest((bundle / MANIFEST_FILE).read_bytes())
    except OSError as error:
        raise UnsupportedModel(f"{str(bundle)!r} is no bundle: {error.strerror} ({MANIFEST_FILE})") from error
    model = TFLiteModel(bundle / "model.tflite", threads)
    _check_tensors(model, manifest)

    def run(crops_NHW3: Image) -> Heatmaps:
        outputs_NHWK = np.concatenate([model(item[None]) for item in to_tensor(crops_NHW3, manifest.input)])
        quantisation = manifest.output.quantisation
        if quantisation is not None:
            outputs_NHWK = dequantise(outputs_NHWK, quantisation.scale, quantisation.zero_point)
        return np.ascontiguousarray(np.moveaxis(outputs_NHWK, -1, 1))

    return _from_specs(run, manifest, "tflite", manifest.precision)


def _from_specs(
    run: HeatmapModel, specs: ExportRecord | Manifest, stage: Stage, precision: Precision
) -> HeatmapPredictor:
    return HeatmapPredictor(
        model=run,
        height=specs.input.height,
        width=specs.input.width,
        stride=specs.output.stride,
        box_padding=specs.input.box_padding,
        decode=specs.output.decode,
        alignment=specs.output.alignment,
        stage=stage,
        precision=precision,
    )


class TFLiteModel:
    """A TFLite file of one input; `output` names the one of its outputs that is read.

    Raises UnsupportedModel for anything else.
    """

    def __init__(self, path: Path, threads: int = 2, output: int = 0) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_path=os.fspath(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UnsupportedModel(f"{str(path)!r} is no TFLite model; fetch or convert it again") from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or output >= len(outputs):
            raise UnsupportedModel(f"{str(path)!r} has {len(inputs)} inputs and {len(outputs)} outputs, one is needed")
        read = outputs[output]
        self._source, self._target = int(inputs[0]["index"]), int(read["index"])
        self.path, self.outputs = path, len(outputs)
        self.input_shape, self.output_shape = (tuple(map(int, item["shape"])) for item in (inputs[0], read))
        self.input_dtype, self.output_dtype = (np.dtype(item["dtype"]).name for item in (inputs[0], read))

    def __call__(self, tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
        self._interpreter.set_tensor(self._source, tensor)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._target))


def _check_tensors(model: TFLiteModel, manifest: Manifest) -> None:
    """Raise UnsupportedModel where the file is not what its manifest says."""
    taken, given = manifest.input, manifest.output
    for what, actual, expected in (
        ("input", (model.input_shape, model.input_dtype), ((1, taken.height, taken.width, 3), taken.dtype)),
        (
            "output",
            (model.output_shape, model.output_dtype),
            ((1, given.height, given.width, len(given.keypoints)), given.dtype),
        ),
    ):
        if actual != expected:
            raise UnsupportedModel(
                f"{str(model.path)!r}: its {what} is {actual[1]} {actual[0]}, the manifest says {expected[1]} "
                f"{expected[0]}; convert it again"
            )
