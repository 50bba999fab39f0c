"""The step that makes the files whose activations are float; `choice` makes int8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from plumbline_contract.manifest import Precision
from plumbline_conversion.plan import InputForm
from plumbline_conversion.tflite_file import with_pixels
from plumbline_conversion.weights import with_half_weights, with_int8_weights

WEIGHTS: Final[Mapping[Precision, Callable[[bytes], bytes]]] = {
    "fp32": lambda content: content,
    "fp16": with_half_weights,
    "dynamic": with_int8_weights,
}


def to_float(base_path: Path, tflite_path: Path, *, precision: Precision, form: InputForm) -> None:
    """Step: write the file of a precision whose activations are float."""
    content = WEIGHTS[precision](base_path.read_bytes())
    tflite_path.write_bytes(with_pixels(content) if form == "uint8" else content)
