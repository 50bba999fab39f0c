"""AP is pycocotools' own; a perfect predictor has 1 and a wrong one 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.box import Box
from plumbline_contract.manifest import Precision, Stage
from plumbline_contract.preprocess import Image
from plumbline_training.datasets import Dataset, load_dataset, load_dataset_list
from plumbline_training.evaluate import evaluate

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
