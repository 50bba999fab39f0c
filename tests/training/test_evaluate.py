"""AP is pycocotools' own; a perfect predictor has 1 and a wrong one 0."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from plumbline_contract.box import Box
from plumbline_contract.evaluation import Ranking, read_evaluation
from plumbline_contract.manifest import Precision, Stage
from plumbline_contract.preprocess import Image
from plumbline_training.datasets import Dataset, load_dataset, load_dataset_list
from plumbline_training.evaluate import (
    Found,
    detail,
    evaluate,
    found_on_truth,
    on_truth,
    person_score,
    picture_by_picture,
    predict,
    score,
)

MakeDataset = Callable[[Path, int], Path]


class Oracle:
    """Knows the labels, and may be told to be off by so many pixels."""

    stage: Stage = "torch"
    precision: Precision = "fp32"

    def __init__(self, dataset: Dataset, error_px: float) -> None:
        self._by_box = {person.box: person.keypoints_K3 for person in dataset.persons}
        self._error_px = error_px

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        keypoints_NK3 = np.stack([self._by_box[box] for box in boxes]).copy()
        keypoints_NK3[..., 0] += self._error_px
        keypoints_NK3[..., 2] = 0.9
        return keypoints_NK3


@pytest.mark.parametrize(("error_px", "ap", "pck"), [(0.0, 1.0, 1.0), (60.0, 0.0, 0.0)])
def test_ap_and_pck_of_a_known_error(
    make_dataset: MakeDataset, tmp_path: Path, error_px: float, ap: float, pck: float
) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 6)).validation)
    result = evaluate(dataset, Oracle(dataset, error_px), quiet=True)
    assert (result.images, result.persons) == (6, 6)
    assert result.ap == pytest.approx(ap, abs=1e-6)
    assert result.pck == pytest.approx(pck, abs=1e-6)
    assert result.ap_interval == pytest.approx((ap, ap), abs=1e-6)


def test_ap_falls_between_for_a_moderate_error(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 6)).validation)
    result = evaluate(dataset, Oracle(dataset, 4.0), quiet=True)
    assert 0.0 < result.ap < 1.0
    assert result.ap50 >= result.ap


def crowded(make_dataset: MakeDataset, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A dataset list and its annotations: crowds, persons without keypoints, a sliver of a box."""
    path = make_dataset(folder, 8)
    content = json.loads((folder / "person_keypoints.json").read_text())
    for number, item in enumerate(copy.deepcopy(content["annotations"]), start=100):
        moved = np.array(item["keypoints"]).reshape(-1, 3) + np.array([7.25, 3.5, 0])
        item |= {"id": number, "keypoints": moved.reshape(-1).tolist(), "area": item["area"] * 0.3}
        if number % 4 == 0:
            item |= {"iscrowd": 1, "keypoints": [0] * 51, "num_keypoints": 0}
        elif number % 4 == 1:
            item |= {"keypoints": [0] * 51, "num_keypoints": 0}
        elif number % 4 == 2:
            item["bbox"][2] = 0.5
        content["annotations"].append(item)
    (folder / "person_keypoints.json").write_text(json.dumps(content))
    return path, content


def wobbling(dataset: Dataset) -> Oracle:
    """Right by a different amount for every person."""
    oracle = Oracle(dataset, 0.0)
    for number, keypoints_K3 in enumerate(oracle._by_box.values()):
        keypoints_K3[:, :2] += np.random.default_rng(number).normal(0, 0.7 * number, (17, 2))
    return oracle


def pycocotools_stats(dataset: Dataset, oracle: Oracle) -> list[float]:
    """The twelve figures that pycocotools gives on the file itself."""
    results = [
        {
            "image_id": person.image_id,
            "category_id": 1,
            "keypoints": found_K3.astype(float).reshape(-1).tolist(),
            "score": float(found_K3[found_K3[:, 2] > 0.2, 2].mean()),
        }
        for person, found_K3 in zip(dataset.persons, predict(dataset, oracle, quiet=True), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(dataset.entry.annotations))
        coco_eval = COCOeval(truth, truth.loadRes(results), "keypoints")
        coco_eval.params.imgIds = sorted({person.image_id for person in dataset.persons})
        coco_eval.evaluate()
        coco_eval.accumulate()
        coco_eval.summarize()
    return [float(value) for value in coco_eval.stats]


def test_ap_is_what_pycocotools_gives_on_the_file(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path, _ = crowded(make_dataset, tmp_path / "data")
    dataset = load_dataset(load_dataset_list(path).validation)
    assert (len(dataset.persons), len(dataset.annotations)) == (10, 16)
    oracle = wobbling(dataset)
    result, stats = evaluate(dataset, oracle, quiet=True), pycocotools_stats(dataset, oracle)
    assert 0.1 < result.ap < 0.9
    figures = (result.ap, result.ap50, result.ap75, result.ap_medium, result.ap_large, result.ar)
    assert figures == tuple(stats[:6])


def test_record_picture_by_picture_gives_the_same_ap(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """What a registry compares bundles by: crowds and persons without keypoints count as pycocotools counts them."""
    path, _ = crowded(make_dataset, tmp_path / "data")
    dataset = load_dataset(load_dataset_list(path).validation)
    keypoints = predict(dataset, wobbling(dataset), quiet=True)
    record = picture_by_picture(dataset, found_on_truth(dataset, keypoints))
    again = read_evaluation(record.to_bytes())
    assert Ranking(again).average_precision() == pytest.approx(on_truth(dataset, keypoints).ap, abs=1e-9)
    assert (again.dataset, len(again.pictures), int(again.persons.sum())) == (dataset.entry.id, 8, 12)


def odd_category(content: dict[str, Any]) -> None:
    content["categories"][0]["id"] = 0
    for item in content["annotations"]:
        item["category_id"] = 0


def zero_and_double_ids(content: dict[str, Any]) -> None:
    for item in content["annotations"]:
        item["id"] = item["id"] % 3


def no_counts(content: dict[str, Any]) -> None:
    for item in content["annotations"]:
        del item["num_keypoints"]
        if not item["iscrowd"]:
            del item["iscrowd"]


@pytest.mark.parametrize(
    "change", [odd_category, zero_and_double_ids, no_counts, lambda content: content.pop("categories")]
)
def test_odd_files_give_the_same_ap(
    make_dataset: MakeDataset, tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    path, content = crowded(make_dataset, tmp_path / "data")
    dataset = load_dataset(load_dataset_list(path).validation)
    expected = evaluate(dataset, wobbling(dataset), quiet=True)
    change(content)
    dataset.entry.annotations.write_text(json.dumps(content))
    odd = load_dataset(dataset.entry)
    assert evaluate(odd, wobbling(odd), quiet=True) == expected


def test_an_area_that_is_missing_is_taken_from_the_box(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path, content = crowded(make_dataset, tmp_path / "data")
    for item in content["annotations"]:
        del item["area"]
    (path.parent / "person_keypoints.json").write_text(json.dumps(content))
    dataset = load_dataset(load_dataset_list(path).validation)
    width, height = content["annotations"][0]["bbox"][2:]
    assert dataset.annotations[0].area == pytest.approx(0.53 * width * height)
    assert 0.0 < evaluate(dataset, wobbling(dataset), quiet=True).ap <= 1.0


def test_a_persons_score_is_of_the_keypoints_that_count() -> None:
    keypoints_K3 = np.zeros((17, 3), np.float32)
    assert person_score(keypoints_K3, 0.9) == 0.0
    keypoints_K3[:4, 2] = (0.2, 0.19, 0.4, 0.6)
    assert person_score(keypoints_K3, 0.5) == pytest.approx(0.25)


def test_nobody_found_is_an_ap_of_zero(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 3)).validation)
    assert score(dataset, [], "detected").ap == 0.0
    one = dataset.persons[0]
    assert 0.2 < score(dataset, [Found(one.image_id, one.keypoints_K3, 1.0)], "detected").ap < 0.5


def test_the_detail_tells_keypoints_and_hidden_from_visible(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 4)).validation)
    keypoints = [person.keypoints_K3.copy() for person in dataset.persons]
    for person, found_K3 in zip(dataset.persons, keypoints, strict=True):
        person.keypoints_K3[9, 2] = 1
        person.keypoints_K3[10, 2] = 0
        found_K3[9, :2] += 500
    result = detail(dataset, keypoints)
    assert result.oks_K[8] == pytest.approx(1.0)
    assert result.oks_K[9] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(result.oks_K[10])
    assert (result.visible.keypoints, result.occluded.keypoints) == (4 * 15, 4)
    assert (result.visible.pck, result.occluded.pck) == (1.0, 0.0)
    assert result.oks_N == pytest.approx([15 / 16] * 4)
