"""Detected boxes: a detector's results in place of the labelled boxes, as figures on test sets are reported.

Axes: N found persons, K keypoints.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.box import Box
from plumbline_contract.skeleton import OKS_SIGMAS
from plumbline_training.crops import read_path
from plumbline_training.datasets import Dataset
from plumbline_training.errors import InvalidDataset
from plumbline_training.evaluate import PERSON_CATEGORY, Evaluation, Found, person_score, score
from plumbline_training.predictors import Predictor

OKS_NMS_THRESHOLD = 0.9


@dataclass(frozen=True)
class Detection:
    """One box of a detector."""

    image_id: int
    box: Box
    score: float


def load_detections(path: Path, min_score: float = 0.0) -> list[Detection]:
    """Persons of a COCO detection-results file: [{image_id, category_id, bbox: [x, y, w, h], score}].

    Boxes without an area are left out. Raises InvalidDataset for any other file.
    """
    try:
        items = json.loads(path.read_bytes())
        return [
            Detection(int(item["image_id"]), Box.from_xywh(item["bbox"]), float(item["score"]))
            for item in items
            if item["category_id"] == PERSON_CATEGORY and item["score"] >= min_score and min(item["bbox"][2:]) > 1
        ]
    except OSError as error:
        raise InvalidDataset(f"{str(path)!r}: {error.strerror}; name a COCO detection-results file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidDataset(f"{str(path)!r} is no COCO detection-results file ({error!r})") from error


def find_in(dataset: Dataset, predictor: Predictor, detections: Sequence[Detection], quiet: bool) -> list[Found]:
    """The person in each detected box of the dataset's pictures, rescored, without doubles."""
    by_image: dict[int, list[Detection]] = defaultdict(list)
    for detection in detections:
        if detection.image_id in dataset.pictures:
            by_image[detection.image_id].append(detection)
    if not by_image:
        raise InvalidDataset("no detection lies in a picture of the validation set; are the files of the same data?")
    kept: list[Found] = []
    for number, here in tqdm(by_image.items(), desc="evaluate", unit="picture", disable=quiet or None, leave=False):
        image = read_path(dataset.pictures[number])
        if image is None:
            raise InvalidDataset(f"{str(dataset.pictures[number])!r} cannot be decoded; fetch it again")
        keypoints_NK3 = predictor(image, [detection.box for detection in here])
        scores = [person_score(found, detection.score) for found, detection in zip(keypoints_NK3, here, strict=True)]
        # The authors' area: of the box as it is cropped, three by four and a quarter larger.
        cropped = [detection.box.with_aspect(0.75).padded(1.25) for detection in here]
        areas = [box.width * box.height for box in cropped]
        chosen = oks_nms(keypoints_NK3, np.array(scores), np.array(areas))
        kept += [Found(number, keypoints_NK3[index], scores[index]) for index in chosen]
    return kept


def oks_nms(
    keypoints_NK3: npt.NDArray[np.float32],
    scores_N: npt.NDArray[np.floating],
    areas_N: npt.NDArray[np.floating],
    threshold: float = OKS_NMS_THRESHOLD,
) -> list[int]:
    """Indices of the persons kept, best first: one that is more like a better one than `threshold` is a double."""
    remaining, kept = list(np.argsort(-scores_N, kind="stable")), []
    while remaining:
        best, *others = remaining
        kept.append(int(best))
        remaining = [
            other
            for other in others
            if similarity(keypoints_NK3[best], keypoints_NK3[other], (areas_N[best] + areas_N[other]) / 2) <= threshold
        ]
    return kept


def similarity(one_K3: npt.NDArray[Any], other_K3: npt.NDArray[Any], area: float) -> float:
    """OKS of two found persons over all keypoints."""
    squares_K = np.square(one_K3[:, :2].astype(np.float64) - other_K3[:, :2]).sum(axis=1)
    return float(np.exp(-squares_K / (2 * (2 * OKS_SIGMAS) ** 2 * (area + np.spacing(1)))).mean())


def evaluate_detected(
    dataset: Dataset,
    predictor: Predictor,
    detections: Sequence[Detection],
    intervals: bool = True,
    quiet: bool = False,
) -> tuple[Evaluation, list[Found]]:
    """AP and AR of a predictor on a detector's boxes, and what it found."""
    found = find_in(dataset, predictor, detections, quiet)
    return score(dataset, found, "detected", intervals=intervals), found
