"""golden.npz: a few crops and this very file's heatmaps, which a device replays before it trusts the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.decode import DECODERS
from plumbline_contract.errors import UNREADABLE
from plumbline_contract.manifest import GoldenCheck, Manifest, Precision, Quantisation
from plumbline_contract.preprocess import Image, to_tensor
from plumbline_conversion.crops import load_crops
from plumbline_conversion.errors import GoldenMismatch
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.parity import run_crops
from plumbline_conversion.specs import bundle_specs

INT8_STEPS: Final = 5
"""Another CPU's int8 kernels round differently: one step was seen between x86 and ARM, some more are allowed."""
FLOAT_TOLERANCE: Final = 1e-3
DYNAMIC_TOLERANCE: Final = 5e-2
"""Activations are quantised on the fly, where a rounding can go either way on another CPU."""


@dataclass(frozen=True)
class Golden:
    """What golden.npz holds: crops (N, H, W, 3) RGB and heatmaps (N, h, w, K), dequantised."""

    crops_rgb_NHW3: Image
    heatmaps_NHWK: npt.NDArray[np.float32]


def golden_check(precision: Precision, output: Quantisation | None) -> GoldenCheck:
    """How closely another machine must reproduce the heatmaps."""
    if precision in ("fp32", "fp16"):
        return GoldenCheck(heatmap_max_abs=FLOAT_TOLERANCE, keypoint_max_px=0.5)
    tolerance = DYNAMIC_TOLERANCE if output is None else INT8_STEPS * output.scale
    return GoldenCheck(heatmap_max_abs=tolerance, keypoint_max_px=1.5)


def write_golden(tflite_path: Path, record_path: Path, crops_path: Path, golden_path: Path) -> None:
    """Step: run the TFLite file on the golden crops and write both."""
    model, crops_rgb = TFLiteModel(tflite_path), load_crops(crops_path).crops_rgb_NHW3
    spec, _ = bundle_specs(load_record(record_path), model)
    heatmaps_NHWK = run_crops(model, to_tensor(crops_rgb, spec)).astype(np.float32)
    np.savez_compressed(golden_path, crops_rgb=crops_rgb, heatmaps=heatmaps_NHWK)


def load_golden(path: Path, manifest: Manifest) -> Golden:
    """Read golden.npz and check its shapes against the manifest. Raises GoldenMismatch."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            golden = Golden(arrays["crops_rgb"], arrays["heatmaps"])
    except UNREADABLE as error:
        raise GoldenMismatch(f"{path}: no valid golden.npz ({error}); convert the model again") from error
    count, source, target = len(golden.crops_rgb_NHW3), manifest.input, manifest.output
    expected = (
        (count, source.height, source.width, 3),
        (count, target.height, target.width, len(target.keypoints)),
    )
    shapes = (golden.crops_rgb_NHW3.shape, golden.heatmaps_NHWK.shape)
    if not count or shapes != expected or golden.crops_rgb_NHW3.dtype != np.uint8:
        raise GoldenMismatch(f"{path}: arrays of shape {shapes} do not fit the manifest; convert the model again")
    return golden


def replay(model: TFLiteModel, golden: Golden, manifest: Manifest) -> None:
    """Run the golden crops again. Raises GoldenMismatch beyond the tolerances of the manifest's check."""
    heatmaps_NHWK = run_crops(model, to_tensor(golden.crops_rgb_NHW3, manifest.input))
    heatmap_difference = float(np.abs(heatmaps_NHWK - golden.heatmaps_NHWK).max())
    decoder = DECODERS[manifest.output.decode]
    expected_NK3, actual_NK3 = (decoder(np.moveaxis(maps, -1, 1)) for maps in (golden.heatmaps_NHWK, heatmaps_NHWK))
    distance_NK = np.linalg.norm(actual_NK3[..., :2] - expected_NK3[..., :2], axis=-1)
    keypoint_distance = float(distance_NK[expected_NK3[..., 2] >= manifest.golden.min_score].max(initial=0.0))
    limits = manifest.golden
    if not (heatmap_difference <= limits.heatmap_max_abs and keypoint_distance <= limits.keypoint_max_px):
        raise GoldenMismatch(
            f"the model no longer gives what golden.npz holds: heatmaps differ by {heatmap_difference:.3g} "
            f"(limit {limits.heatmap_max_abs:.3g}), keypoints by {keypoint_distance:.3g} px "
            f"(limit {limits.keypoint_max_px:g}); model.tflite and golden.npz are not of one conversion, convert again"
        )
