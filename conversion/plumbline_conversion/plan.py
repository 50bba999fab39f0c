"""Everything one conversion is told, checked before any work starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from plumbline_contract.manifest import VERSION_PATTERN, Precision
from plumbline_conversion.errors import InvalidPlan

Translator = Literal["nhwc", "onnx-tf"]
InputForm = Literal["normalised", "uint8"]
"""What a device hands to the model: numbers it has normalised itself, or the crop's bytes as they are.

'uint8' puts one scale and shift in front of the stem. The manifest then says mean 0, std 1 and a quantisation of 1/255,
which is the same thing in its words: the table from byte to input number is the identity.
"""
RangeMethod = Literal["minmax", "percentile", "mse"]
Ranging = Literal["auto", "minmax", "percentile", "mse"]
TRANSLATORS: Final[tuple[Translator, ...]] = get_args(Translator)
INPUT_FORMS: Final[tuple[InputForm, ...]] = get_args(InputForm)
RANGINGS: Final[tuple[Ranging, ...]] = get_args(Ranging)
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


@dataclass(frozen=True)
class ParityLimit:
    """How far a TFLite file may be from the ONNX model; None checks nothing."""

    heatmap_share: float | None
    """Largest difference of any heatmap value, as a share of the reference's range (of 1 where that is smaller)."""
    keypoint_p99_px: float | None
    """99th percentile of keypoint distance in heatmap pixels."""
    keypoint_max_px: float | None = None
    """Largest keypoint distance in heatmap pixels."""
    oks: float | None = None
    """Smallest mean OKS of the TFLite file's keypoints against the ONNX model's own."""
    min_score: float = 0.3
    """Keypoints below this reference score are not compared."""


DEFAULT_LIMITS: Final[Mapping[Precision, ParityLimit]] = {
    "fp32": ParityLimit(heatmap_share=1e-3, keypoint_p99_px=0.5, keypoint_max_px=0.5, oks=0.999),
    "fp16": ParityLimit(heatmap_share=1e-2, keypoint_p99_px=0.5, oks=0.999),
    "dynamic": ParityLimit(heatmap_share=None, keypoint_p99_px=None, oks=0.95),
    "int8": ParityLimit(heatmap_share=None, keypoint_p99_px=None, oks=0.95),
}
"""Rounding may turn the choice between two peaks of equal height (left and right ankle), which moves one keypoint far
and says nothing of the rest: quantised files are held to their mean OKS, float ones to every keypoint."""


@dataclass(frozen=True)
class ImageSource:
    """A folder of images, one video, or a COCO keypoint json with its images."""

    path: Path
    images_dir: Path | None = None
    """Where a json's images lie; by default beside the json, or in `images` beside it."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where a json's images may lie; empty for what holds its own pictures."""
        if self.path.suffix.lower() != ".json":
            return ()
        beside = self.path.parent
        return (self.images_dir,) if self.images_dir else (beside, beside / "images")


@dataclass(frozen=True)
class Plan:
    """One conversion. Raises InvalidPlan for a value that cannot be used."""

    onnx_path: Path
    """The file that training exported."""
    out_dir: Path
    """Bundles go to out_dir/<precision>."""
    version: str
    """Semantic version of the bundles."""
    calibration: ImageSource
    """Real images: most set the int8 ranges, the rest prove parity."""
    golden: ImageSource
    """Images that may be given away: they travel in the bundle."""
    precisions: tuple[Precision, ...] = PRECISIONS
    calibration_samples: int = 100
    """Crops that set the int8 ranges, at most."""
    parity_samples: int = 64
    """Crops held out of calibration on which parity is measured, at most."""
    golden_samples: int = 4
    form: InputForm = "normalised"
    """What the device hands to the model."""
    translator: Translator = "nhwc"
    """Ours, or onnx-tf in its own environment."""
    ranging: Ranging = "auto"
    """How int8 ranges are found; 'auto' takes the way that loses least on calibration crops."""
    scan_layers: bool = False
    """Measure what each layer loses when it alone is in int8."""
    float_layers: int = 0
    """That many of the layers that lose most stay in float; implies the scan."""
    limits: Mapping[Precision, ParityLimit] = field(default_factory=lambda: DEFAULT_LIMITS)
    model_card: Path | None = None
    """Markdown that replaces the generated description in the model card."""
    other_runtime: Path | None = None
    """Python of an environment with tflite-runtime, in which every file is tried too."""
    onnx_tf_python: Path | None = None
    """Python of the environment of conversion/onnx_tf, for the translator 'onnx-tf'."""
    work_dir: Path | None = None
    """Where finished steps are kept; None for out_dir/.steps."""
    overwrite: bool = False
    """Replace bundles that are already there."""

    def __post_init__(self) -> None:
        if not re.fullmatch(VERSION_PATTERN, self.version):
            raise InvalidPlan(f"version {self.version!r} is no semantic version; write one such as 1.4.0")
        if not self.precisions or set(self.precisions) - set(PRECISIONS):
            raise InvalidPlan(f"precisions {self.precisions!r}: choose among {', '.join(PRECISIONS)}")
        if self.form not in INPUT_FORMS or self.translator not in TRANSLATORS or self.ranging not in RANGINGS:
            raise InvalidPlan(
                f"form {self.form!r}, translator {self.translator!r}, ranging {self.ranging!r}: choose among "
                f"{INPUT_FORMS}, {TRANSLATORS} and {RANGINGS}"
            )
        if self.translator == "onnx-tf" and self.onnx_tf_python is None:
            raise InvalidPlan("translator 'onnx-tf' needs the Python of its environment; give --onnx-tf-python")
        if self.float_layers < 0:
            raise InvalidPlan(f"float_layers is {self.float_layers!r}; it cannot be negative")
        for name in ("calibration_samples", "parity_samples", "golden_samples"):
            if getattr(self, name) < 1:
                raise InvalidPlan(f"{name} is {getattr(self, name)!r}; it must be at least 1")
