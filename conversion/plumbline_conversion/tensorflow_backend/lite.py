"""From the SavedModel to TFLite files: the float file that all proofs start from, and each precision."""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf

from plumbline_contract.manifest import Precision
from plumbline_conversion.errors import ConversionFailed
from plumbline_conversion.plan import InputForm
from plumbline_conversion.ranges import load_ranges
from plumbline_conversion.tensorflow_backend.quantise import quantised
from plumbline_conversion.tflite_file import with_pixels


def lower(saved_model_dir: Path, tflite_path: Path, *, precision: Precision = "fp32") -> None:
    """Write the float TFLite file, with float16 or dynamically quantised weights if asked. Raises ConversionFailed."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model_dir))
    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        content: bytes = converter.convert()
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConversionFailed(f"{precision}: TensorFlow Lite gave up ({reason}); report this graph") from error
    tflite_path.write_bytes(content)


def to_tflite(
    saved_model_dir: Path, base_path: Path, tflite_path: Path, *, precision: Precision, form: InputForm
) -> None:
    """Step: write the file of a float precision. Raises ConversionFailed."""
    if precision == "fp32":
        content = base_path.read_bytes()
    else:
        lower(saved_model_dir, tflite_path, precision=precision)
        content = tflite_path.read_bytes()
    tflite_path.write_bytes(with_pixels(content) if form == "uint8" else content)


def to_int8(base_path: Path, ranges_path: Path, choice_path: Path, tflite_path: Path, *, form: InputForm) -> None:
    """Step: write the int8 file with the ranges and float layers of the choice. Raises ConversionFailed."""
    choice = json.loads(choice_path.read_text(encoding="utf-8"))
    ranges_T2 = load_ranges(ranges_path, choice["method"])
    tflite_path.write_bytes(quantised(base_path.read_bytes(), ranges_T2, form, choice["kept_float"]))
