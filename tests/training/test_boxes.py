"""A detector's boxes: doubles go, scores are the authors', and figures are pycocotools' own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.box import Box
from plumbline_contract.manifest import Precision, Stage
from plumbline_contract.preprocess import Image
from plumbline_training.boxes import evaluate_detected, load_detections, oks_nms
from plumbline_training.crops import read_image
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.errors import InvalidDataset
from plumbline_training.evaluate import Found, score

MakeDataset = Callable[[Path, int], Path]
STANDING_K3 = np.concatenate([np.random.default_rng(0).uniform(20, 80, (17, 2)), np.ones((17, 1))], axis=1)


class Nearest:
    """Gives the labelled keypoints of the one person of each picture, whatever the box."""

    stage: Stage = "torch"
    precision: Precision = "fp32"

    def __init__(self, answers: dict[bytes, npt.NDArray[np.float32]]) -> None:
        self._answers = answers

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        return np.stack([self._answers[image_bgr_HW3.tobytes()]] * len(boxes))


def test_a_double_goes_and_a_neighbour_stays() -> None:
    people = np.stack([STANDING_K3, STANDING_K3 + np.array([0.5, 0, 0]), STANDING_K3 + np.array([60, 0, 0])]).astype(
        np.float32
    )
    areas = np.full(3, 3600.0)
    assert oks_nms(people, np.array([0.5, 0.9, 0.7]), areas) == [1, 2]
    assert oks_nms(people, np.array([0.5, 0.9, 0.7]), areas, threshold=1.0) == [1, 2, 0]


def test_two_boxes_of_one_person_count_once(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 5)).validation)
    answers, boxes = {}, []
    for person in dataset.persons:
        image = read_image(person)
        assert image is not None
        known_K3 = person.keypoints_K3.copy()
        known_K3[:, 2] = 0.8
        answers[image.tobytes()] = known_K3
        for shift, sure in ((0.0, 0.9), (3.0, 0.6)):
            box = person.box
            xywh = [box.centre_x - box.width / 2 + shift, box.centre_y - box.height / 2, box.width, box.height]
            boxes.append({"image_id": person.image_id, "category_id": 1, "bbox": xywh, "score": sure})
    boxes += [{**boxes[0], "category_id": 2}, {**boxes[0], "image_id": 999}, {**boxes[0], "bbox": [1, 1, 0, 9]}]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    detections = load_detections(tmp_path / "boxes.json")
    assert len(detections) == 11
    result, found = evaluate_detected(dataset, Nearest(answers), detections, quiet=True)
    assert (result.boxes, result.pck) == ("detected", None)
    assert result.ap == pytest.approx(1.0)
    assert [person.score for person in found] == pytest.approx([0.72] * 5)
    assert len(load_detections(tmp_path / "boxes.json", min_score=0.7)) == 6


def test_somebody_found_in_a_picture_of_nobody_counts_against_the_model(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    path = make_dataset(tmp_path / "data", 4)
    file = path.parent / "person_keypoints.json"
    content = json.loads(file.read_text())
    content["annotations"] = content["annotations"][1:]
    file.write_text(json.dumps(content))
    dataset = load_dataset(load_dataset_list(path).validation)
    known = {person.image_id: person.keypoints_K3 for person in dataset.persons}
    right = [Found(number, keypoints_K3, 0.5) for number, keypoints_K3 in known.items()]
    assert score(dataset, right, "detected").ap == pytest.approx(1.0)
    wrong = Found(1, known[2], 0.9)
    assert score(dataset, [wrong, *right], "detected").ap < 0.8


@pytest.mark.parametrize(
    ("content", "message"), [("{", "no COCO detection"), ('[{"image_id": 1}]', "no COCO detection"), (None, "No such")]
)
def test_another_file_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "boxes.json").write_text(content)
    with pytest.raises(InvalidDataset, match=message):
        load_detections(tmp_path / "boxes.json")


def test_boxes_of_other_pictures_are_said(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 2)).validation)
    (tmp_path / "boxes.json").write_text('[{"image_id": 77, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 1}]')
    with pytest.raises(InvalidDataset, match="files of the same data"):
        evaluate_detected(dataset, Nearest({}), load_detections(tmp_path / "boxes.json"), quiet=True)
