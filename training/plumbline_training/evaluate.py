"""COCO keypoint AP on ground-truth boxes by pycocotools, with a bootstrap interval over images, and PCK."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from plumbline_contract.manifest import MANIFEST_FILE, AveragePrecision, Manifest, parse_manifest
from plumbline_contract.skeleton import Keypoint
from plumbline_training.checkpoint import write_atomically
from plumbline_training.crops import read_image
from plumbline_training.datasets import Dataset, Person
from plumbline_training.errors import InvalidDataset, UnsupportedModel
from plumbline_training.predictors import Predictor

BOOTSTRAP_SAMPLES = 1000
PERSON_CATEGORY = 1


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one dataset."""

    dataset: str
    images: int
    persons: int
    ap: float
    ap50: float
    ap75: float
    ar: float
    pck: float
    """Share of labelled keypoints within 0.2 torso lengths (shoulder centre to hip centre)."""
    ap_interval: tuple[float, float] | None
    """95% bootstrap interval of `ap` over images."""

    def record(self, predictor: Predictor) -> AveragePrecision:
        """As the manifest holds it."""
        return AveragePrecision(
            stage=predictor.stage,
            precision=predictor.precision,
            dataset=self.dataset,
            images=self.images,
            persons=self.persons,
            ap=self.ap,
            ap50=self.ap50,
            ap_interval=self.ap_interval,
        )


def predict(dataset: Dataset, predictor: Predictor, quiet: bool = False) -> list[npt.NDArray[np.float32]]:
    """Keypoints (K, 3) in image pixels for every person of the dataset, in order, from their labelled boxes."""
    by_image: dict[str, list[int]] = defaultdict(list)
    for index, person in enumerate(dataset.persons):
        by_image[str(person.image)].append(index)
    keypoints: list[npt.NDArray[np.float32]] = [np.zeros((len(Keypoint), 3), np.float32)] * len(dataset.persons)
    for name, indices in tqdm(by_image.items(), desc="evaluate", unit="picture", disable=quiet or None, leave=False):
        image = read_image(dataset.persons[indices[0]])
        if image is None:
            raise InvalidDataset(f"{name!r} cannot be decoded; a picture to measure on must not be left out")
        for index, found_K3 in zip(
            indices, predictor(image, [dataset.persons[index].box for index in indices]), strict=True
        ):
            keypoints[index] = found_K3
    return keypoints


def evaluate(dataset: Dataset, predictor: Predictor, intervals: bool = True, quiet: bool = False) -> Evaluation:
    """AP, AR and PCK of a predictor on ground-truth boxes."""
    keypoints = predict(dataset, predictor, quiet)
    results = [
        {
            "image_id": person.image_id,
            "category_id": PERSON_CATEGORY,
            "keypoints": found_K3.astype(float).reshape(-1).tolist(),
            "score": float(found_K3[:, 2].mean()),
        }
        for person, found_K3 in zip(dataset.persons, keypoints, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = ground_truth(dataset)
        coco_eval = COCOeval(truth, truth.loadRes(results), "keypoints")
        coco_eval.params.imgIds = sorted({person.image_id for person in dataset.persons})
        coco_eval.evaluate()
        coco_eval.accumulate()
        coco_eval.summarize()
        interval = _bootstrap_interval(coco_eval) if intervals else None
    stats = [float(value) for value in coco_eval.stats]
    return Evaluation(
        dataset=dataset.entry.id,
        images=dataset.images,
        persons=len(dataset.persons),
        ap=stats[0],
        ap50=stats[1],
        ap75=stats[2],
        ar=stats[5],
        pck=percentage_of_correct_keypoints(dataset.persons, keypoints),
        ap_interval=interval,
    )


def ground_truth(dataset: Dataset) -> COCO:
    """The dataset as pycocotools takes it.

    Made from what was loaded rather than from the file: pycocotools takes an annotation whose id is 0 for unmatched,
    keeps one of two that share an id, and needs fields that many files lack.
    """
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": number} for number in sorted({item.image_id for item in dataset.annotations})],
        "categories": [{"id": PERSON_CATEGORY, "name": "person"}],
        "annotations": [
            {
                "id": number,
                "image_id": item.image_id,
                "category_id": PERSON_CATEGORY,
                "bbox": list(item.bbox_xywh),
                "area": item.area,
                "iscrowd": int(item.crowd),
                "keypoints": item.keypoints_V.tolist(),
                "num_keypoints": int((item.keypoints_V[2::3] > 0).sum()),
            }
            for number, item in enumerate(dataset.annotations, start=1)
        ],
    }
    truth.createIndex()
    return truth


def _bootstrap_interval(coco_eval: Any) -> tuple[float, float]:
    """Draw images with replacement and accumulate again; evalImgs is ordered by area range, then image."""
    images = len(coco_eval.params.imgIds)
    by_area = [coco_eval.evalImgs[start : start + images] for start in range(0, len(coco_eval.evalImgs), images)]
    generator = np.random.default_rng(0)
    values = []
    for _ in range(BOOTSTRAP_SAMPLES):
        drawn = generator.integers(0, images, images)
        coco_eval.evalImgs = [area[index] for area in by_area for index in drawn]
        coco_eval.accumulate()
        precision = coco_eval.eval["precision"][:, :, 0, 0, 0]
        valid = precision[precision > -1]
        values.append(float(valid.mean()) if valid.size else 0.0)
    coco_eval.evalImgs = [item for area in by_area for item in area]
    coco_eval.accumulate()
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def percentage_of_correct_keypoints(
    persons: tuple[Person, ...], keypoints: list[npt.NDArray[np.float32]], threshold: float = 0.2
) -> float:
    """PCK: share of labelled keypoints within `threshold` torso lengths; persons without a whole torso are left out."""
    correct = total = 0
    torso = [Keypoint.LEFT_SHOULDER, Keypoint.RIGHT_SHOULDER, Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP]
    for person, found_K3 in zip(persons, keypoints, strict=True):
        truth_K3 = person.keypoints_K3
        if (truth_K3[torso, 2] == 0).any():
            continue
        length = np.linalg.norm(truth_K3[torso[:2], :2].mean(axis=0) - truth_K3[torso[2:], :2].mean(axis=0))
        labelled = truth_K3[:, 2] > 0
        distance = np.linalg.norm(found_K3[:, :2] - truth_K3[:, :2], axis=1)
        correct += int((distance[labelled] <= threshold * length).sum())
        total += int(labelled.sum())
    return correct / total if total else float("nan")


def open_draft(bundle: Path) -> Manifest:
    """The manifest of a draft bundle. Raises UnsupportedModel for a sealed bundle, whose digests are fixed, or none."""
    try:
        manifest = parse_manifest((bundle / MANIFEST_FILE).read_bytes())
    except OSError as error:
        raise UnsupportedModel(f"{str(bundle)!r} is no bundle folder ({error.strerror}); name a draft") from error
    if manifest.files:
        raise UnsupportedModel(f"{str(bundle)!r} is sealed; measure the draft, then seal it")
    return manifest


def add_to_manifest(bundle: Path, measured: AveragePrecision) -> None:
    """Put an AP into the manifest of a draft bundle, in place of an earlier one of the same form and dataset."""
    manifest = open_draft(bundle)
    key = (measured.stage, measured.precision, measured.dataset)
    kept = [item for item in manifest.metrics.average_precision if (item.stage, item.precision, item.dataset) != key]
    metrics = manifest.metrics.model_copy(update={"average_precision": (*kept, measured)})
    write_atomically(manifest.model_copy(update={"metrics": metrics}).to_json(), bundle / MANIFEST_FILE)
