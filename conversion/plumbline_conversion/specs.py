"""What a bundle's manifest says of its tensors: the record's numbers in the form that the TFLite file really has."""

from __future__ import annotations

from typing import Final

from plumbline_contract.manifest import ExportRecord, InputSpec, OutputSpec
from plumbline_conversion.errors import ConversionFailed
from plumbline_conversion.litert import TensorFacts, TFLiteModel
from plumbline_conversion.plan import InputForm

PIXELS: Final = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def float_input(record: ExportRecord, form: InputForm = "normalised") -> InputSpec:
    """The input of the translated model before quantisation: float32 NHWC, pixels in [0, 1] for the form 'uint8'."""
    pixels = PIXELS if form == "uint8" else {}
    return InputSpec.model_validate({**record.input.model_dump(), "layout": "NHWC", **pixels})


def bundle_specs(record: ExportRecord, model: TFLiteModel) -> tuple[InputSpec, OutputSpec]:
    """The specs with type and quantisation read back from the model. Raises ConversionFailed for another shape."""
    source, target = record.input, record.output
    _require_shape("input", model.input, (1, source.height, source.width, 3))
    _require_shape("output", model.output, (1, target.height, target.width, len(target.keypoints)))
    pixels = PIXELS if model.input.dtype == "uint8" else {}
    return (
        InputSpec.model_validate({**source.model_dump(), "layout": "NHWC", **_numbers(model.input), **pixels}),
        OutputSpec.model_validate({**target.model_dump(), "layout": "NHWC", **_numbers(model.output)}),
    )


def _numbers(facts: TensorFacts) -> dict[str, object]:
    quantisation = facts.quantisation.model_dump() if facts.quantisation else None
    return {"dtype": facts.dtype, "quantisation": quantisation}


def _require_shape(what: str, facts: TensorFacts, expected: tuple[int, ...]) -> None:
    if facts.shape != expected:
        raise ConversionFailed(f"the TFLite {what} has shape {facts.shape}, the export record asks for {expected}")
