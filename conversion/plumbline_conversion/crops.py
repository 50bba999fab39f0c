"""The steps that turn pictures into the crops that calibration, parity and golden.npz use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from tqdm import tqdm

from plumbline_contract.manifest import InputSpec
from plumbline_contract.preprocess import Image
from plumbline_conversion.errors import UnreadableImages
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.pictures import Sighting, cut_out, find_sightings, spread
from plumbline_conversion.plan import ImageSource

MIN_CALIBRATION_CROPS: Final = 10
HELD_OUT_EVERY: Final = 5
"""Every fifth picture proves parity and never calibrates."""


@dataclass(frozen=True)
class Crops:
    """RGB crops and the names of the pictures they came from."""

    crops_rgb_NHW3: Image
    names: tuple[str, ...]


def load_crops(path: Path) -> Crops:
    """The crops that a step of this module wrote."""
    with np.load(path) as arrays:
        return Crops(arrays["crops_rgb"], tuple(arrays["names"].tolist()))


def select_calibration(
    source_path: Path,
    record_path: Path,
    calibration_path: Path,
    parity_path: Path,
    *,
    images_dir: Path | None,
    calibration_samples: int,
    parity_samples: int,
) -> None:
    """Step: write crops to calibrate on, and crops of other pictures to measure on. Raises UnreadableImages."""
    spec = load_record(record_path).input
    calibrating, held_out = split_by_picture(find_sightings(ImageSource(source_path, images_dir)))
    if len(calibrating) < MIN_CALIBRATION_CROPS:
        raise UnreadableImages(
            f"{source_path}: {len(calibrating)} crops are left to calibrate on, at least {MIN_CALIBRATION_CROPS} are "
            "needed; give more images, best of the place and the people that the model will see"
        )
    _write(calibration_path, spread(calibrating, calibration_samples), spec)
    _write(parity_path, spread(held_out, parity_samples), spec)


def select_golden(
    source_path: Path, record_path: Path, golden_path: Path, *, images_dir: Path | None, samples: int
) -> None:
    """Step: write the crops that will travel in the bundle. Raises UnreadableImages."""
    sightings = find_sightings(ImageSource(source_path, images_dir))
    _write(golden_path, spread(sightings, samples), load_record(record_path).input)


def split_by_picture(sightings: Sequence[Sighting]) -> tuple[list[Sighting], list[Sighting]]:
    """(calibrating, held out): persons of one picture stay together."""
    pictures = list(dict.fromkeys((sighting.path, sighting.frame) for sighting in sightings))
    measured = set(pictures[::HELD_OUT_EVERY])
    calibrating = [sighting for sighting in sightings if (sighting.path, sighting.frame) not in measured]
    return calibrating, [sighting for sighting in sightings if (sighting.path, sighting.frame) in measured]


def _write(path: Path, sightings: Sequence[Sighting], spec: InputSpec) -> None:
    progress = tqdm(cut_out(sightings, spec), desc=path.stem, total=len(sightings), leave=False, disable=None)
    np.savez(path, crops_rgb=np.stack(list(progress)), names=np.array([sighting.name for sighting in sightings]))
