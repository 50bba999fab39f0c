"""From the float TFLite file and the ranges of its activations to full int8, some layers kept in float if asked."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize

from plumbline_conversion.errors import ConversionFailed
from plumbline_conversion.plan import InputForm
from plumbline_conversion.ranges import Ranges
from plumbline_conversion.tflite_file import with_pixels, with_ranges


def quantised(content: bytes, ranges_T2: Ranges, form: InputForm, kept_float: Sequence[str] = ()) -> bytes:
    """The int8 file: weights per channel, input int8 or bytes, output int8.

    `kept_float` names output tensors of layers that stay in float between a DEQUANTIZE and a QUANTIZE. Raises
    ConversionFailed.
    """
    try:
        result: bytes = mlir_quantize(
            with_ranges(content, ranges_T2),
            fully_quantize=not kept_float,
            input_data_type=tf.int8,
            output_data_type=tf.int8,
            denylisted_nodes=list(kept_float) or None,
        )
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConversionFailed(f"int8: TensorFlow Lite gave up ({reason}); try --precision fp32") from error
    return with_pixels(result) if form == "uint8" else result
