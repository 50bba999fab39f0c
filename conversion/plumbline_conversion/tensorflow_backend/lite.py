"""From the SavedModel to the float TFLite file that all precisions are made of."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError, convert_saved_model

from plumbline_conversion.errors import ConversionFailed


def lower(saved_model_dir: Path, tflite_path: Path) -> None:
    """Step: write the float TFLite file. Raises ConversionFailed.

    `TFLiteConverter` would first load and freeze the graph to learn what we know, which takes twice as long as the
    conversion itself; what it then calls is called here.
    """
    try:
        content: bytes = convert_saved_model(
            saved_model_dir=str(saved_model_dir),
            saved_model_version=1,
            saved_model_tags=[tf.saved_model.SERVING],
            saved_model_exported_names=[tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY],
            input_tensors=None,
            inference_type=tf.float32,
        )
    except (ConverterError, RuntimeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConversionFailed(f"TensorFlow Lite gave up ({reason}); report this graph") from error
    tflite_path.write_bytes(content)
