"""COCO keypoint AP by pycocotools, with a bootstrap interval over images, PCK, and OKS keypoint by keypoint."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from plumbline_contract.evaluation import OKS_THRESHOLDS, EvaluationRecord
from plumbline_contract.manifest import EVALUATION_FILE, MANIFEST_FILE, AveragePrecision, Manifest, parse_manifest
from plumbline_contract.skeleton import OKS_SIGMAS, Keypoint
from plumbline_training.checkpoint import write_atomically
from plumbline_training.crops import read_image
from plumbline_training.datasets import Dataset, Person
from plumbline_training.errors import InvalidDataset, UnsupportedModel
from plumbline_training.predictors import Predictor

BOOTSTRAP_SAMPLES = 1000
PERSON_CATEGORY = 1
MIN_VISIBLE = 0.2
"""Keypoints scored lower do not count in a person's score (the HRNet authors' in_vis_thre)."""
PCK_THRESHOLD = 0.2
Boxes = Literal["ground-truth", "detected", "none"]


class Found(NamedTuple):
    """A person that a model found."""

    image_id: int
    keypoints_K3: npt.NDArray[np.float32]
    score: float


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one dataset."""

    dataset: str
    boxes: Boxes
    images: int
    persons: int
    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    """Of persons of 32 to 96 px squared, as pycocotools has it; -1 where there are none."""
    ap_large: float
    ar: float
    pck: float | None
    """Share of labelled keypoints within 0.2 torso lengths (shoulder centre to hip centre); boxes of the truth only."""
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


def person_score(keypoints_K3: npt.NDArray[np.float32], box_score: float = 1.0) -> float:
    """The box's score times the mean of the keypoints scored above MIN_VISIBLE, as the HRNet authors rank persons."""
    scores_K = keypoints_K3[:, 2]
    visible = scores_K > MIN_VISIBLE
    return box_score * float(scores_K[visible].mean()) if visible.any() else 0.0


def evaluate(dataset: Dataset, predictor: Predictor, intervals: bool = True, quiet: bool = False) -> Evaluation:
    """AP, AR and PCK of a predictor on ground-truth boxes."""
    return on_truth(dataset, predict(dataset, predictor, quiet), intervals)


def on_truth(dataset: Dataset, keypoints: Sequence[npt.NDArray[np.float32]], intervals: bool = True) -> Evaluation:
    """AP, AR and PCK of the keypoints that `predict` gave."""
    pck = percentage_of_correct_keypoints(dataset.persons, keypoints)
    return score(dataset, found_on_truth(dataset, keypoints), "ground-truth", pck, intervals)


def found_on_truth(dataset: Dataset, keypoints: Sequence[npt.NDArray[np.float32]]) -> list[Found]:
    """The persons that `predict` found, scored."""
    pairs = zip(dataset.persons, keypoints, strict=True)
    return [Found(person.image_id, found_K3, person_score(found_K3)) for person, found_K3 in pairs]


def results(found: Sequence[Found]) -> list[dict[str, Any]]:
    """COCO keypoint results, as pycocotools reads them."""
    return [
        {
            "image_id": person.image_id,
            "category_id": PERSON_CATEGORY,
            "keypoints": person.keypoints_K3.astype(float).reshape(-1).tolist(),
            "score": person.score,
        }
        for person in found
    ]


def score(
    dataset: Dataset, found: Sequence[Found], boxes: Boxes, pck: float | None = None, intervals: bool = True
) -> Evaluation:
    """AP and AR of persons found in the dataset's pictures; nobody found is an AP of 0."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco_eval = _matched(dataset, found, boxes)
        coco_eval.accumulate()
        coco_eval.summarize()
        interval = _bootstrap_interval(coco_eval) if intervals else None
    stats = [float(value) for value in coco_eval.stats]
    return Evaluation(
        dataset=dataset.entry.id,
        boxes=boxes,
        images=dataset.images,
        persons=len(dataset.persons),
        ap=stats[0],
        ap50=stats[1],
        ap75=stats[2],
        ap_medium=stats[3],
        ap_large=stats[4],
        ar=stats[5],
        pck=pck,
        ap_interval=interval,
    )


def picture_by_picture(dataset: Dataset, found: Sequence[Found]) -> EvaluationRecord:
    """What AP on ground-truth boxes is made of, for a registry to compare two bundles on the same pictures."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco_eval = _matched(dataset, found, "ground-truth")
    pictures = len(coco_eval.params.imgIds)
    # evalImgs is ordered by area range, then picture; the first range is "all". None: neither labelled nor found.
    matches = [(index, item) for index, item in enumerate(coco_eval.evalImgs[:pictures]) if item is not None]
    persons = np.zeros(pictures, np.int32)
    for index, item in matches:
        persons[index] = len(item["gtIgnore"]) - int(np.count_nonzero(item["gtIgnore"]))
    width = len(OKS_THRESHOLDS)
    return EvaluationRecord(
        dataset=dataset.entry.id,
        pictures=np.array(coco_eval.params.imgIds, np.int64),
        persons=persons,
        picture=np.concatenate([[index] * len(item["dtScores"]) for index, item in matches]).astype(np.int32),
        score=np.concatenate([item["dtScores"] for _, item in matches]).astype(np.float32),
        matched=np.concatenate([item["dtMatches"].reshape(width, -1).T > 0 for _, item in matches]),
        ignored=np.concatenate([item["dtIgnore"].reshape(width, -1).T > 0 for _, item in matches]),
    )


def _matched(dataset: Dataset, found: Sequence[Found], boxes: Boxes) -> Any:
    """pycocotools' evaluation, persons found matched to persons labelled."""
    truth = ground_truth(dataset)
    coco_eval = COCOeval(truth, truth.loadRes(results(found)) if found else COCO(), "keypoints")
    # Without the truth's boxes somebody may be found in a picture of nobody, and that counts against the model.
    with_persons = {person.image_id for person in dataset.persons}
    coco_eval.params.imgIds = sorted(with_persons if boxes == "ground-truth" else with_persons | set(dataset.pictures))
    coco_eval.evaluate()
    return coco_eval


class Share(NamedTuple):
    """How well one kind of keypoint is found."""

    keypoints: int
    oks: float
    """Mean of the keypoints' similarity; NaN where there are none."""
    pck: float


@dataclass(frozen=True)
class Detail:
    """Where the errors are, on ground-truth boxes."""

    oks_K: tuple[float, ...]
    """Mean similarity of each keypoint over the persons that have it labelled; NaN for none."""
    visible: Share
    """Keypoints labelled as visible."""
    occluded: Share
    """Keypoints labelled, and hidden in the picture."""
    oks_N: tuple[float, ...]
    """Of each person: what AP's thresholds are applied to."""


def detail(dataset: Dataset, keypoints: Sequence[npt.NDArray[np.float32]]) -> Detail:
    """From the keypoints that `predict` gave."""
    truth_NK3 = np.stack([person.keypoints_K3 for person in dataset.persons]).astype(np.float64)
    found_NK3 = np.stack(keypoints).astype(np.float64)
    areas_N1 = np.array([[person.area] for person in dataset.persons])
    distance_NK = np.linalg.norm(found_NK3[..., :2] - truth_NK3[..., :2], axis=-1)
    oks_NK = np.exp(-(distance_NK**2) / (2 * (2 * OKS_SIGMAS) ** 2 * (areas_N1 + np.spacing(1))))
    labelled_NK = truth_NK3[..., 2] > 0
    correct_NK = distance_NK <= PCK_THRESHOLD * torso_lengths(truth_NK3)[:, None]

    def share(chosen_NK: npt.NDArray[np.bool_]) -> Share:
        whole_NK = chosen_NK & np.isfinite(torso_lengths(truth_NK3))[:, None]
        return Share(int(chosen_NK.sum()), _mean(oks_NK[chosen_NK]), _mean(correct_NK[whole_NK]))

    return Detail(
        oks_K=tuple(_mean(oks_NK[labelled_NK[:, keypoint], keypoint]) for keypoint in Keypoint),
        visible=share(truth_NK3[..., 2] == 2),
        occluded=share(truth_NK3[..., 2] == 1),
        oks_N=tuple(_mean(row[labelled]) for row, labelled in zip(oks_NK, labelled_NK, strict=True)),
    )


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


def ground_truth(dataset: Dataset) -> COCO:
    """The dataset as pycocotools takes it.

    Made from what was loaded rather than from the file: pycocotools takes an annotation whose id is 0 for unmatched,
    keeps one of two that share an id, and needs fields that many files lack.
    """
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [
            {"id": number} for number in sorted({item.image_id for item in dataset.annotations} | set(dataset.pictures))
        ],
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


def torso_lengths(truth_NK3: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Shoulder centre to hip centre of each person in pixels; NaN where one of the four is not labelled."""
    torso = [Keypoint.LEFT_SHOULDER, Keypoint.RIGHT_SHOULDER, Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP]
    shoulders_N2, hips_N2 = (truth_NK3[:, pair, :2].mean(axis=1) for pair in (torso[:2], torso[2:]))
    whole_N = (truth_NK3[:, torso, 2] > 0).all(axis=1)
    return np.where(whole_N, np.linalg.norm(shoulders_N2 - hips_N2, axis=1), np.nan)


def percentage_of_correct_keypoints(
    persons: Sequence[Person], keypoints: Sequence[npt.NDArray[np.float32]], threshold: float = PCK_THRESHOLD
) -> float:
    """PCK: share of labelled keypoints within `threshold` torso lengths; persons without a whole torso are left out."""
    correct_NK, counted_NK = correct_keypoints(persons, keypoints, threshold)
    return _mean(correct_NK[counted_NK])


def correct_keypoints(
    persons: Sequence[Person], keypoints: Sequence[npt.NDArray[np.float32]], threshold: float = PCK_THRESHOLD
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """What PCK is the share of, (N, K) each: which keypoints are near enough, and which of them count."""
    truth_NK3, found_NK3 = np.stack([person.keypoints_K3 for person in persons]), np.stack(keypoints)
    lengths_N = torso_lengths(truth_NK3)
    counted_NK = (truth_NK3[..., 2] > 0) & np.isfinite(lengths_N)[:, None]
    correct_NK = np.linalg.norm(found_NK3[..., :2] - truth_NK3[..., :2], axis=-1) <= threshold * lengths_N[:, None]
    return correct_NK, counted_NK


def open_draft(bundle: Path) -> Manifest:
    """The manifest of a draft bundle. Raises UnsupportedModel for a sealed bundle, whose digests are fixed, or none."""
    try:
        manifest = parse_manifest((bundle / MANIFEST_FILE).read_bytes())
    except OSError as error:
        raise UnsupportedModel(f"{str(bundle)!r} is no bundle folder ({error.strerror}); name a draft") from error
    if manifest.files:
        raise UnsupportedModel(f"{str(bundle)!r} is sealed; measure the draft, then seal it")
    return manifest


def add_to_manifest(bundle: Path, measured: AveragePrecision, record: EvaluationRecord) -> None:
    """Put an AP into the manifest of a draft bundle, in place of an earlier one of the same form and dataset.

    What the AP is made of goes beside it, into evaluation.npz.
    """
    manifest = open_draft(bundle)
    key = (measured.stage, measured.precision, measured.dataset)
    kept = [item for item in manifest.metrics.average_precision if (item.stage, item.precision, item.dataset) != key]
    metrics = manifest.metrics.model_copy(update={"average_precision": (*kept, measured)})
    write_atomically(record.to_bytes(), bundle / EVALUATION_FILE)
    write_atomically(manifest.model_copy(update={"metrics": metrics}).to_json(), bundle / MANIFEST_FILE)
