"""How real rendered pictures are to a model: its error on them beside its error on real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.sequence import HIPS, SHOULDERS
from plumbline_contract.skeleton import OKS_SIGMAS
from plumbline_training.crops import read_path
from plumbline_training.datasets import Dataset, DatasetEntry, Person, load_dataset, load_dataset_list
from plumbline_training.errors import InvalidDataset
from plumbline_training.models import load_predictor
from plumbline_training.predictors import Predictor
from plumbline_training.render.errors import InvalidRequest
from plumbline_training.render.person import VISIBLE
from plumbline_training.render.pictures import ANNOTATIONS

LEAST_TORSO: Final = 12.0
"""Pixels: a shorter torso, as seen from above, is no measure of an error."""
LEAST_KEYPOINTS: Final = 8
HEADER: Final = f"{'model':28} {'pictures':10} {'persons':>7} {'error':>7} {'median':>7} {'OKS':>6} {'PCK@0.2':>8}"


@dataclass(frozen=True)
class Error:
    """A model's error on some persons: mean and median distance in torso lengths of visible keypoints, mean OKS."""

    persons: int
    mean: float
    median: float
    oks: float
    pck: float

    def line(self, model: str, pictures: str) -> str:
        """A row of the table."""
        figures = f"{self.persons:7d} {self.mean:7.3f} {self.median:7.3f} {self.oks:6.3f} {self.pck:8.3f}"
        return f"{model[-28:]:28} {pictures:10} {figures}"


def torso_px(keypoints_K3: npt.NDArray[np.floating]) -> float:
    """Pixels between the middles of shoulders and hips; 0 where not all four are labelled."""
    ends = keypoints_K3[[*SHOULDERS, *HIPS]]
    if (ends[:, 2] == 0).any():
        return 0.0
    return float(np.linalg.norm(ends[:2, :2].mean(axis=0) - ends[2:, :2].mean(axis=0)))


def can_be_measured(keypoints_K3: npt.NDArray[np.floating]) -> bool:
    """Whether labels (x, y, flag) show a torso to measure by and enough visible keypoints."""
    visible = int((keypoints_K3[:, 2] == VISIBLE).sum())
    return torso_px(keypoints_K3) >= LEAST_TORSO and visible >= LEAST_KEYPOINTS


def measurable(dataset: Dataset, count: int) -> list[Person]:
    """Persons with a torso to measure by and enough visible keypoints, evenly over the dataset."""
    fit = [person for person in dataset.persons if can_be_measured(person.keypoints_K3)]
    if not fit:
        raise InvalidRequest(f"{dataset.entry.id}: nobody shows a torso and {LEAST_KEYPOINTS} keypoints to measure by")
    return [fit[int(number)] for number in np.linspace(0, len(fit) - 1, min(count, len(fit))).round()]


def measure(predictor: Predictor, persons: Sequence[Person], title: str) -> Error:
    """The error on visible keypoints, within each person's own labelled box."""
    distances: list[npt.NDArray[np.float64]] = []
    similarities = []
    for person in tqdm(persons, desc=title, unit="person", leave=False):
        image = read_path(person.image)
        if image is None:
            raise InvalidDataset(f"{str(person.image)!r} cannot be decoded; fetch it again")
        found_K3 = predictor(image, [person.box])[0]
        seen = person.keypoints_K3[:, 2] == VISIBLE
        off_K = np.linalg.norm(found_K3[:, :2] - person.keypoints_K3[:, :2], axis=1).astype(np.float64)
        distances.append(off_K[seen] / torso_px(person.keypoints_K3))
        exponent_K = off_K**2 / (2 * person.area * (2 * OKS_SIGMAS) ** 2 + 1e-9)
        similarities.append(float(np.exp(-exponent_K[seen]).mean()))
    every = np.concatenate(distances)
    mean = float(np.mean([part.mean() for part in distances]))
    return Error(len(persons), mean, float(np.median(every)), float(np.mean(similarities)), float((every < 0.2).mean()))


def real_dataset(real: Path, images: Path | None) -> Dataset:
    """The validation set of a data.yaml, or a COCO keypoint json with its pictures."""
    if real.suffix in (".yaml", ".yml"):
        return load_dataset(load_dataset_list(real).validation)
    if images is None:
        raise InvalidRequest(f"--real {str(real)!r} is a json; name the folder of its pictures with --real-images")
    return load_dataset(DatasetEntry(id="real", annotations=real, images=images))


def compare(folder: Path, real: Path, real_images: Path | None, models: Sequence[Path], count: int) -> str:
    """The table: each model on both kinds of pictures, and how their errors compare."""
    rendered = load_dataset(DatasetEntry(id="rendered", annotations=folder / ANNOTATIONS, images=folder / "images"))
    kinds = {"rendered": measurable(rendered, count), "real": measurable(real_dataset(real, real_images), count)}
    lines = ["error: mean distance of visible keypoints in torso lengths", HEADER]
    for path in models:
        predictor = load_predictor(path)
        errors = {kind: measure(predictor, persons, kind) for kind, persons in kinds.items()}
        lines += [error.line("/".join(path.parts[-2:]), kind) for kind, error in errors.items()]
        lines.append(f"{'':28} rendered / real: {errors['rendered'].mean / errors['real'].mean:.2f}")
    return "\n".join(lines)
