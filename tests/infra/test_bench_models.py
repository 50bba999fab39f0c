"""What `make bench-models` does to pictures and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from infra.bench_models import CONDITIONS, Condition, Under, latencies, pck
from tests.edge.dots import DOTS_FP32

from plumbline_contract.box import Box
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.predictors import Predictor

SPOT = (70, 40)


class Spot:
    """Finds the brightest pixel within the box, as all of the keypoints."""

    stage = "tflite"
    precision = "fp32"

    def __call__(self, image: npt.NDArray[np.uint8], boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        (box,) = boxes
        left, top = round(box.centre_x - box.width / 2), round(box.centre_y - box.height / 2)
        within = cv2.GaussianBlur(image, (0, 0), 2)[top : round(top + box.height), left : round(left + box.width), 0]
        y, x = np.unravel_index(within.argmax(), within.shape)
        return np.tile(np.array([left + x, top + y, 1], np.float32), (1, NUM_KEYPOINTS, 1))


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_keypoints_come_back_to_where_they_are_in_the_picture(condition: Condition) -> None:
    image = np.full((120, 160, 3), 20, np.uint8)
    cv2.circle(image, SPOT, 4, (255, 255, 255), cv2.FILLED)
    predictor: Predictor = Spot()  # type: ignore[assignment]
    box = Box(80, 60, 80, 100)
    (found_K3,) = Under(predictor, condition)(image, [box])
    assert np.abs(found_K3[:, :2] - SPOT).max() <= 2
    changed = condition.change(image, [box])
    assert (changed.shape == image.shape) != condition.turned
    assert changed.dtype == np.uint8


def test_pck_of_the_truth_is_one_and_of_something_far_away_is_nothing(
    make_dataset: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path, 6)).validation)
    truth = [person.keypoints_K3 for person in dataset.persons]
    assert pck(dataset, truth) == (1, 1, 1)
    assert pck(dataset, [keypoints_K3 + 1000 for keypoints_K3 in truth]) == (0, 0, 0)
    half = [keypoints_K3 + 1000 * (index % 2) for index, keypoints_K3 in enumerate(truth)]
    middle, low, high = pck(dataset, half)
    assert 0 < low < middle < high < 1


def test_each_file_has_a_latency() -> None:
    file = DOTS_FP32 / "model.tflite"
    first, second = latencies([file, file], threads=1)
    assert 0 < first < 1000
    assert 0 < second < 1000
