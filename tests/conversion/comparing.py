"""Keypoints of two forms of one net on the sample clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from plumbline_contract.decode import DECODERS
from plumbline_contract.manifest import ExportRecord, InputSpec
from plumbline_contract.preprocess import Image, to_tensor
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.pictures import cut_out, find_sightings, spread
from plumbline_conversion.plan import ImageSource

CLIP = Path(__file__).parents[2] / "samples" / "squats.mp4"


def clip_crops(spec: InputSpec, count: int) -> Image:
    """Crops (N, H, W, 3) of frames spread over the sample clip."""
    return np.stack(list(cut_out(spread(find_sightings(ImageSource(CLIP)), count), spec)))


def heatmaps_of(tflite_path: Path, tensors_NHW3: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """What the file gives here: (N, K, h, w)."""
    model = TFLiteModel(tflite_path, threads=2)
    return np.stack([np.moveaxis(model.run(tensor[None]), -1, 0) for tensor in tensors_NHW3])


def tensors_of(record: ExportRecord, count: int) -> npt.NDArray[np.float32]:
    """Inputs (N, H, W, 3) of the float file."""
    spec = record.input.model_copy(update={"layout": "NHWC"})
    return np.asarray(to_tensor(clip_crops(spec, count), spec), dtype=np.float32)


def farthest(
    first_NKhw: npt.NDArray[np.float32], second_NKhw: npt.NDArray[np.float32], record: ExportRecord
) -> tuple[float, int]:
    """Largest keypoint distance in heatmap pixels, and how many keypoints were compared (the upper half by score)."""
    first_NK3, second_NK3 = (DECODERS[record.output.decode](maps) for maps in (first_NKhw, second_NKhw))
    sure_NK = first_NK3[..., 2] >= np.median(first_NK3[..., 2])
    distance_NK = np.linalg.norm(first_NK3[..., :2] - second_NK3[..., :2], axis=-1)
    return float(distance_NK[sure_NK].max()), int(sure_NK.sum())
