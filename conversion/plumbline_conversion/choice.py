"""The step that makes the int8 file: by the ranges and with the float layers that lose least.

Everything is decided on calibration crops; the crops that prove parity are never looked at here. Axes: N crops, h and w
heatmap rows and columns, K keypoints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from plumbline_contract.decode import DECODERS
from plumbline_contract.manifest import ExportRecord
from plumbline_contract.preprocess import Image, to_tensor
from plumbline_conversion.crops import load_crops
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.parity import keypoint_oks_NK
from plumbline_conversion.pictures import spread
from plumbline_conversion.plan import InputForm, RangeMethod, Ranging
from plumbline_conversion.ranges import load_ranges
from plumbline_conversion.specs import bundle_specs, float_input
from plumbline_conversion.tflite_file import Layer, layers

JUDGED_CROPS: Final = 16
Heatmaps = npt.NDArray[np.float32]
Quantise = Callable[[RangeMethod, Sequence[str]], bytes]
"""An int8 file with these ranges and these layers in float."""


class Loss(NamedTuple):
    """What a quantised file loses against the float one, on the judged crops."""

    oks_loss: float
    """1 - mean OKS of its keypoints against the float file's; 0 where no keypoint scores high enough."""
    heatmap_rms: float


class Sensitivity(BaseModel):
    """What one layer loses when it alone is in int8."""

    layer: str
    tensor: str
    operator: str
    macs: int
    oks_loss: float
    heatmap_rms: float


class Choice(BaseModel):
    """How int8 is made."""

    method: RangeMethod
    kept_float: list[str]
    losses: dict[str, tuple[float, float]]
    """Ranging method -> (OKS loss, RMS of the heatmaps' difference), all layers in int8."""
    sensitivities: list[Sensitivity]
    """Of every layer with multiply-adds, the worst first; empty where no scan was asked for."""


def write_int8(
    base_path: Path,
    ranges_path: Path,
    record_path: Path,
    crops_path: Path,
    choice_path: Path,
    tflite_path: Path,
    *,
    form: InputForm,
    ranging: Ranging,
    scan: bool,
    float_layers: int,
) -> None:
    """Step: try the ranges, scan the layers if asked to; write a Choice as JSON and the file that it gives.

    Raises ConversionFailed.
    """
    record = load_record(record_path)
    workshop = choice_path.with_suffix(".tflite")
    crops = np.stack(spread(list(load_crops(crops_path).crops_rgb_NHW3), JUDGED_CROPS))
    judge = _Judge(base_path, record, crops, form, workshop)
    quantise = _quantiser(base_path, ranges_path, form)
    try:
        tried = _tried(judge, quantise, ranging)
        best = min(tried, key=lambda method: tried[method][1])
        scanned = _scan(base_path, judge, quantise, best) if scan or float_layers else []
    finally:
        workshop.unlink(missing_ok=True)
    kept_float = [item.tensor for item in scanned[:float_layers]]
    choice = Choice(
        method=best,
        kept_float=kept_float,
        losses={method: (loss.oks_loss, loss.heatmap_rms) for method, (_, loss) in tried.items()},
        sensitivities=scanned,
    )
    choice_path.write_text(choice.model_dump_json(indent=2), encoding="utf-8")
    tflite_path.write_bytes(quantise(best, kept_float) if kept_float else tried[best][0])


def _tried(judge: _Judge, quantise: Quantise, ranging: Ranging) -> dict[RangeMethod, tuple[bytes, Loss]]:
    """The files of the methods and what each loses; where clipping by `mse` gains nothing, `percentile` is left out."""

    def attempt(method: RangeMethod) -> tuple[bytes, Loss]:
        content = quantise(method, ())
        return content, judge.loss(content)

    if ranging != "auto":
        return {ranging: attempt(ranging)}
    tried: dict[RangeMethod, tuple[bytes, Loss]] = {"minmax": attempt("minmax"), "mse": attempt("mse")}
    if tried["mse"][1] < tried["minmax"][1]:
        tried["percentile"] = attempt("percentile")
    return tried


def _quantiser(base_path: Path, ranges_path: Path, form: InputForm) -> Quantise:
    from plumbline_conversion.tensorflow_backend.quantise import quantised

    content = base_path.read_bytes()
    return lambda method, kept_float: quantised(content, load_ranges(ranges_path, method), form, kept_float)


def _scan(base_path: Path, judge: _Judge, quantise: Quantise, method: RangeMethod) -> list[Sensitivity]:
    """Quantise each layer alone: what it loses is then its own doing."""
    found = layers(base_path)
    heavy = [layer for layer in found if layer.macs]
    results = []
    for layer in heavy:
        others = [other.output for other in found if other is not layer]
        results.append(_sensitivity(layer, judge.loss(quantise(method, others))))
    return sorted(results, key=lambda item: (item.oks_loss, item.heatmap_rms), reverse=True)


def _sensitivity(layer: Layer, loss: Loss) -> Sensitivity:
    return Sensitivity(
        layer=layer.label, tensor=layer.output, operator=layer.operator, macs=layer.macs, **loss._asdict()
    )


class _Judge:
    """Compares quantised files with the float one on the same crops; a runtime reads them at `workshop`."""

    def __init__(
        self, base_path: Path, record: ExportRecord, crops_rgb_NHW3: Image, form: InputForm, workshop: Path
    ) -> None:
        self._record, self._crops_rgb_NHW3, self._workshop = record, crops_rgb_NHW3, workshop
        tensors = to_tensor(crops_rgb_NHW3, float_input(record, form))
        self._reference_NhwK = _run(TFLiteModel(base_path, threads=2), tensors)

    def loss(self, content: bytes) -> Loss:
        """What that file loses."""
        self._workshop.write_bytes(content)
        model = TFLiteModel(self._workshop, threads=2)
        spec, _ = bundle_specs(self._record, model)
        found_NhwK = _run(model, to_tensor(self._crops_rgb_NHW3, spec))
        decode = DECODERS[self._record.output.decode]
        expected_NK3, found_NK3 = (decode(np.moveaxis(maps, -1, 1)) for maps in (self._reference_NhwK, found_NhwK))
        oks = keypoint_oks_NK(expected_NK3, found_NK3, self._record)[expected_NK3[..., 2] >= 0.3]
        rms = float(np.sqrt(np.square(found_NhwK - self._reference_NhwK, dtype=np.float64).mean()))
        return Loss(oks_loss=1 - float(oks.mean()) if oks.size else 0.0, heatmap_rms=rms)


def _run(model: TFLiteModel, tensors_NHW3: npt.NDArray[np.generic]) -> Heatmaps:
    return np.stack([model.run(tensor[None]) for tensor in tensors_NHW3])


def load_choice(path: Path) -> Choice:
    """The choice that `write_int8` wrote."""
    return Choice.model_validate_json(path.read_text(encoding="utf-8"))
