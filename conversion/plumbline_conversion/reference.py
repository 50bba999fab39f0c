"""What the ONNX model itself says, run by onnxruntime: the reference of every comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures
from tqdm import tqdm

from plumbline_contract.preprocess import to_tensor
from plumbline_conversion.crops import load_crops
from plumbline_conversion.errors import UnreadableModel
from plumbline_conversion.onnx_file import load_record


def write_reference(onnx_path: Path, record_path: Path, crops_path: Path, reference_path: Path) -> None:
    """Step: heatmaps (N, h, w, K) float32 of the ONNX model on the crops, as .npy. Raises UnreadableModel."""
    try:
        session = onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
    except (failures.Fail, failures.InvalidGraph, failures.InvalidArgument, failures.NotImplemented) as error:
        reason = str(error).partition("\n")[0]
        raise UnreadableModel(f"{onnx_path}: onnxruntime refuses it ({reason}); export it again") from error
    input_name = session.get_inputs()[0].name
    tensors_N3HW = to_tensor(load_crops(crops_path).crops_rgb_NHW3, load_record(record_path).input)
    progress = tqdm(tensors_N3HW, desc="ONNX reference", unit="crop", leave=False, disable=None)
    heatmaps_NKHW = np.concatenate([session.run(None, {input_name: tensor[None]})[0] for tensor in progress])
    np.save(reference_path, np.ascontiguousarray(heatmaps_NKHW.transpose(0, 2, 3, 1)))
