"""The step that decides how int8 is made: by which ranges, and with which layers kept in float.

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
from plumbline_conversion.plan import RANGE_METHODS, InputForm, RangeMethod, Ranging
from plumbline_conversion.ranges import load_ranges
from plumbline_conversion.specs import bundle_specs, float_input
from plumbline_conversion.tflite_file import Layer, layers

JUDGED_CROPS: Final = 16
Heatmaps = npt.NDArray[np.float32]
Quantise = Callable[[RangeMethod, Sequence[str]], Path]
"""Makes an int8 file with these ranges and these layers in float."""


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


def write_choice(
    base_path: Path,
    ranges_path: Path,
    record_path: Path,
    crops_path: Path,
    choice_path: Path,
    *,
    form: InputForm,
    ranging: Ranging,
    scan: bool,
    float_layers: int,
) -> None:
    """Step: try the ranges, scan the layers if asked to, and write a Choice as JSON."""
    record = load_record(record_path)
    judge = _Judge(base_path, record, np.stack(spread(list(load_crops(crops_path).crops_rgb_NHW3), JUDGED_CROPS)), form)
    workshop = choice_path.with_suffix(".tflite")
    quantise = _quantiser(base_path, ranges_path, workshop, form)
    try:
        methods = RANGE_METHODS if ranging == "auto" else (ranging,)
        losses = {method: judge.loss(quantise(method, ())) for method in methods}
        best = min(losses, key=lambda method: losses[method])
        scanned = _scan(base_path, judge, quantise, best) if scan or float_layers else []
    finally:
        workshop.unlink(missing_ok=True)
    choice = Choice(
        method=best,
        kept_float=[item.tensor for item in scanned[:float_layers]],
        losses={method: (loss.oks_loss, loss.heatmap_rms) for method, loss in losses.items()},
        sensitivities=scanned,
    )
    choice_path.write_text(choice.model_dump_json(indent=2), encoding="utf-8")


def _quantiser(base_path: Path, ranges_path: Path, workshop: Path, form: InputForm) -> Quantise:
    from plumbline_conversion.tensorflow_backend.quantise import quantised

    content = base_path.read_bytes()

    def quantise(method: RangeMethod, kept_float: Sequence[str]) -> Path:
        workshop.write_bytes(quantised(content, load_ranges(ranges_path, method), form, kept_float))
        return workshop

    return quantise


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
    """Compares quantised files with the float one on the same crops."""

    def __init__(self, base_path: Path, record: ExportRecord, crops_rgb_NHW3: Image, form: InputForm) -> None:
        self._record, self._crops_rgb_NHW3 = record, crops_rgb_NHW3
        tensors = to_tensor(crops_rgb_NHW3, float_input(record, form))
        self._reference_NhwK = _run(TFLiteModel(base_path, threads=2), tensors)

    def loss(self, tflite_path: Path) -> Loss:
        """What that file loses."""
        model = TFLiteModel(tflite_path, threads=2)
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
    """The choice that `write_choice` wrote."""
    return Choice.model_validate_json(path.read_text(encoding="utf-8"))
