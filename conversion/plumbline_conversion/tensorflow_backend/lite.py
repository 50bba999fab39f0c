"""From the SavedModel to a TFLite file of one precision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tqdm import tqdm

from plumbline_contract.manifest import Precision
from plumbline_contract.preprocess import to_tensor
from plumbline_conversion.crops import load_crops
from plumbline_conversion.errors import ConversionFailed
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.specs import float_input


def to_tflite(
    saved_model_dir: Path, record_path: Path, crops_path: Path, tflite_path: Path, *, precision: Precision
) -> None:
    """Step: write the TFLite file. int8 takes its ranges from the calibration crops. Raises ConversionFailed."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model_dir))
    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        tensors = to_tensor(load_crops(crops_path).crops_rgb_NHW3, float_input(load_record(record_path)))
        converter.representative_dataset = lambda: _one_by_one(tensors)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    try:
        content: bytes = converter.convert()
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConversionFailed(f"{precision}: TensorFlow Lite gave up ({reason}); try --precision fp32") from error
    tflite_path.write_bytes(content)


def _one_by_one(tensors_NHWC: npt.NDArray[np.float32]) -> Iterator[list[npt.NDArray[np.float32]]]:
    for tensor_HWC in tqdm(tensors_NHWC, desc="calibration", unit="crop", leave=False, disable=None):
        yield [tensor_HWC[None]]
