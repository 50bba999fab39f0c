"""What can go wrong on the way from ONNX to a sealed bundle."""

from __future__ import annotations

from collections.abc import Sequence

from plumbline_contract.errors import PlumblineError


class InvalidPlan(PlumblineError, ValueError):
    """An option of the conversion has a value that cannot be used."""


class UnreadableModel(PlumblineError):
    """The ONNX file is missing, damaged, incomplete or of an opset that is not supported."""


class InvalidRecord(PlumblineError):
    """The ONNX file carries no export record, or one that contradicts the graph."""


class UnsupportedOperator(PlumblineError):
    """The graph holds an operator that the translator does not know."""

    def __init__(self, unknown: Sequence[tuple[str, str]], supported: Sequence[str]) -> None:
        names = "; ".join(f"{op_type} (node {name!r})" for op_type, name in unknown)
        super().__init__(
            f"no translation for {names}: write the layer with supported operators and export again, or add a "
            f"handler to plumbline_conversion/tensorflow_backend/operators.py; supported: {', '.join(supported)}"
        )
        self.unknown = tuple(unknown)


class UnsupportedUse(PlumblineError):
    """A known operator is used in a way that the translator does not cover."""

    def __init__(self, node_label: str, problem: str) -> None:
        super().__init__(f"{node_label}: {problem}; change the layer and export again")


class UnreadableImages(PlumblineError):
    """Calibration or golden images are missing, undecodable, too few or wrongly annotated."""


class ConversionFailed(PlumblineError):
    """TensorFlow Lite could not make, or LiteRT could not load, one of the files."""


class ParityLost(PlumblineError):
    """The TFLite file is not the ONNX model: heatmaps or keypoints differ by more than the limit."""


class GoldenMismatch(PlumblineError):
    """golden.npz is damaged, or the model no longer gives what golden.npz holds."""


class OutputExists(PlumblineError):
    """The folder that would be written already holds something."""


class IncompleteBundle(PlumblineError):
    """A folder lacks a file that every bundle has."""
