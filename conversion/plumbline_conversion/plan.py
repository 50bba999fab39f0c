"""Everything one conversion is told, checked before any work starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from plumbline_contract.manifest import VERSION_PATTERN, Precision
from plumbline_conversion.errors import InvalidPlan

PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


@dataclass(frozen=True)
class ParityLimit:
    """How far a TFLite file may be from the ONNX model; None checks nothing."""

    heatmap_max_abs: float | None
    """Largest difference of any heatmap value."""
    keypoint_p99_px: float
    """99th percentile of keypoint distance in heatmap pixels."""
    keypoint_max_px: float | None = None
    """Largest keypoint distance in heatmap pixels."""
    min_score: float = 0.3
    """Keypoints below this reference score are not compared."""


DEFAULT_LIMITS: Final[Mapping[Precision, ParityLimit]] = {
    "fp32": ParityLimit(heatmap_max_abs=1e-3, keypoint_p99_px=0.5, keypoint_max_px=0.5),
    "fp16": ParityLimit(heatmap_max_abs=1e-2, keypoint_p99_px=0.5),
    "dynamic": ParityLimit(heatmap_max_abs=None, keypoint_p99_px=2.0),
    "int8": ParityLimit(heatmap_max_abs=None, keypoint_p99_px=2.0),
}


@dataclass(frozen=True)
class ImageSource:
    """A folder of images, one video, or a COCO keypoint json with its images."""

    path: Path
    images_dir: Path | None = None
    """Where a json's images lie; by default beside the json, or in `images` beside it."""


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
    calibration_samples: int = 200
    """Crops that set the int8 ranges, at most."""
    parity_samples: int = 64
    """Crops held out of calibration on which parity is measured, at most."""
    golden_samples: int = 4
    limits: Mapping[Precision, ParityLimit] = field(default_factory=lambda: DEFAULT_LIMITS)
    model_card: Path | None = None
    """Markdown that replaces the generated description in the model card."""
    overwrite: bool = False
    """Replace bundles that are already there."""

    def __post_init__(self) -> None:
        if not re.fullmatch(VERSION_PATTERN, self.version):
            raise InvalidPlan(f"version {self.version!r} is no semantic version; write one such as 1.4.0")
        if not self.precisions or set(self.precisions) - set(PRECISIONS):
            raise InvalidPlan(f"precisions {self.precisions!r}: choose among {', '.join(PRECISIONS)}")
        for name in ("calibration_samples", "parity_samples", "golden_samples"):
            if getattr(self, name) < 1:
                raise InvalidPlan(f"{name} is {getattr(self, name)!r}; it must be at least 1")
