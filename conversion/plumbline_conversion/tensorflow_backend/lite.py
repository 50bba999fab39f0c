"""From the SavedModel to the float TFLite file that all precisions are made of."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from plumbline_conversion.errors import ConversionFailed


def lower(saved_model_dir: Path, tflite_path: Path) -> None:
    """Step: write the float TFLite file. Raises ConversionFailed."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model_dir))
    try:
        content: bytes = converter.convert()
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConversionFailed(f"TensorFlow Lite gave up ({reason}); report this graph") from error
    tflite_path.write_bytes(content)
