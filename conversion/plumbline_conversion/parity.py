"""Proof that a TFLite file is still the ONNX model: on heatmaps, and on the keypoints that are read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.decode import DECODERS
from plumbline_contract.manifest import ExportRecord, Parity, Precision
from plumbline_contract.preprocess import to_tensor
from plumbline_contract.skeleton import KEYPOINT_NAMES, OKS_SIGMAS
from plumbline_conversion.crops import load_crops
from plumbline_conversion.errors import ParityLost
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.plan import ParityLimit
from plumbline_conversion.specs import bundle_specs

PERSON_SHARE_OF_BOX: Final = 0.5
Heatmaps = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """The numbers, and the keypoint that moved farthest in words."""

    parity: Parity
    worst: str
    reference_range: float
    """From the least to the greatest value of the reference's heatmaps."""


def keypoint_oks_NK(
    expected_NK3: npt.NDArray[np.float32], found_NK3: npt.NDArray[np.float32], record: ExportRecord
) -> npt.NDArray[np.float64]:
    """Similarity (N, K) of keypoints in heatmap pixels, by COCO's formula, with the reference as the truth.

    The person's area is not known here. The crop is the box grown by box_padding, and COCO's areas are about half of
    their boxes.
    """
    target = record.output
    area = PERSON_SHARE_OF_BOX * target.height * target.width / record.input.box_padding**2
    squared_NK = np.square(expected_NK3[..., :2] - found_NK3[..., :2], dtype=np.float64).sum(axis=-1)
    return np.asarray(np.exp(-squared_NK / (2 * (2 * OKS_SIGMAS) ** 2 * area)))


def run_crops(model: TFLiteModel, tensors_NHW3: npt.NDArray[np.generic]) -> Heatmaps:
    """Heatmaps (N, h, w, K) of inputs in the model's own numbers."""
    progress = tqdm(tensors_NHW3, desc="TFLite", unit="crop", leave=False, disable=None)
    return np.stack([model.run(tensor[None]) for tensor in progress])


def compare(
    reference_NHWK: Heatmaps,
    candidate_NHWK: Heatmaps,
    names: Sequence[str],
    *,
    record: ExportRecord,
    precision: Precision,
    min_score: float,
) -> Comparison:
    """Compare heatmaps, and the keypoints decoded from them whose reference score is at least `min_score`.

    `names` says which picture each of the N crops came from. Raises ParityLost for values that are not finite.
    """
    if not np.isfinite(candidate_NHWK).all():
        raise ParityLost(f"{precision}: heatmaps hold values that are not finite; no bundle was written")
    expected_NK3, actual_NK3 = (
        DECODERS[record.output.decode](np.moveaxis(heatmaps, -1, 1)) for heatmaps in (reference_NHWK, candidate_NHWK)
    )
    distance_NK = np.linalg.norm(actual_NK3[..., :2] - expected_NK3[..., :2], axis=-1)
    compared_NK = expected_NK3[..., 2] >= min_score
    distances = distance_NK[compared_NK]
    oks = keypoint_oks_NK(expected_NK3, actual_NK3, record)[compared_NK]
    difference_NHWK = np.abs(candidate_NHWK - reference_NHWK)
    parity = Parity(
        reference="onnx",
        candidate="tflite",
        precision=precision,
        samples=len(reference_NHWK),
        heatmap_max_abs=float(difference_NHWK.max()),
        heatmap_mean_abs=float(difference_NHWK.mean()),
        keypoint_p99_px=float(np.percentile(distances, 99)) if distances.size else 0.0,
        keypoint_max_px=float(distances.max()) if distances.size else 0.0,
        keypoints_compared=int(distances.size),
        min_score=min_score,
        oks=float(oks.mean()) if oks.size else None,
    )
    if not distances.size:
        return Comparison(parity, f"no keypoint scored {min_score} or more", float(np.ptp(reference_NHWK)))
    crop, keypoint = (
        int(i) for i in np.unravel_index(np.where(compared_NK, distance_NK, -1.0).argmax(), distance_NK.shape)
    )
    before, after = (_in_words(points_NK3[crop, keypoint]) for points_NK3 in (expected_NK3, actual_NK3))
    worst = f"{KEYPOINT_NAMES[keypoint]} of {names[crop]} went from {before} to {after}"
    return Comparison(parity, worst, float(np.ptp(reference_NHWK)))


def _in_words(keypoint_3: npt.NDArray[np.float32]) -> str:
    x, y, score = keypoint_3.tolist()
    return f"({x:.2f}, {y:.2f}) scored {score:.2f}"


def require_parity(comparison: Comparison, limit: ParityLimit) -> None:
    """Raise ParityLost, with the numbers and the worst keypoint, when a limit is exceeded."""
    parity = comparison.parity
    checks = [
        (
            "heatmap max abs as a share of the range",
            parity.heatmap_max_abs / max(1.0, comparison.reference_range),
            limit.heatmap_share,
        ),
        ("keypoint p99 px", parity.keypoint_p99_px, limit.keypoint_p99_px),
        ("keypoint max px", parity.keypoint_max_px, limit.keypoint_max_px),
    ]
    broken = [f"{what} {value:.3g} > {bound:g}" for what, value, bound in checks if bound is not None and value > bound]
    if limit.oks is not None and parity.oks is not None and parity.oks < limit.oks:
        broken.append(f"OKS {parity.oks:.4f} < {limit.oks:g}")
    if broken:
        raise ParityLost(
            f"{parity.precision}: {', '.join(broken)}; {parity.keypoints_compared} keypoints of {parity.samples} "
            f"crops compared; worst: {comparison.worst}; no bundle was written. Calibrate on more or other images, "
            "choose another precision, or raise the limit if this is good enough"
        )


def measure_parity(
    tflite_path: Path,
    record_path: Path,
    crops_path: Path,
    reference_path: Path,
    parity_path: Path,
    *,
    precision: Precision,
    limit: ParityLimit,
) -> None:
    """Step: compare on the held-out crops and write a contract Parity as JSON. Raises ParityLost."""
    record, crops, model = load_record(record_path), load_crops(crops_path), TFLiteModel(tflite_path)
    candidate_NHWK = run_crops(model, to_tensor(crops.crops_rgb_NHW3, bundle_specs(record, model)[0]))
    comparison = compare(
        np.load(reference_path),
        candidate_NHWK,
        crops.names,
        record=record,
        precision=precision,
        min_score=limit.min_score,
    )
    require_parity(comparison, limit)
    parity_path.write_text(comparison.parity.model_dump_json(indent=2), encoding="utf-8")
