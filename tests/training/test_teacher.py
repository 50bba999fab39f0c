"""A teacher fills what is not labelled, and only that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.box import Box
from plumbline_contract.manifest import Precision, Stage
from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import FACE, MIRROR, Keypoint
from plumbline_training.errors import InvalidDataset
from plumbline_training.teacher import Tally, agrees, fill, look_twice, relabel


def labelled_body() -> npt.NDArray[np.float32]:
    keypoints_K3 = np.random.default_rng(0).uniform(20, 80, (17, 3)).astype(np.float32)
    keypoints_K3[:, 2] = 2
    keypoints_K3[list(FACE)] = 0
    return keypoints_K3


def test_unlabelled_faces_are_filled_where_the_teacher_is_sure() -> None:
    labelled_K3, taught_K3 = labelled_body(), np.full((17, 3), 50, np.float32)
    taught_K3[:, 2] = 0.9
    taught_K3[Keypoint.LEFT_EAR, 2] = 0.1
    body = labelled_K3[Keypoint.LEFT_SHOULDER :].copy()
    fill(labelled_K3, taught_K3, min_score=0.4)
    assert labelled_K3[Keypoint.NOSE].tolist() == [50, 50, 2]
    assert labelled_K3[Keypoint.LEFT_EAR].tolist() == [0, 0, 0]
    assert np.array_equal(labelled_K3[Keypoint.LEFT_SHOULDER :], body)


def test_a_teacher_that_looks_at_someone_else_does_not_agree() -> None:
    labelled_K3 = labelled_body()
    near_K3, far_K3 = labelled_K3.copy(), labelled_K3.copy()
    near_K3[:, :2] += 3
    far_K3[:, :2] += 60
    assert agrees(labelled_K3, near_K3)
    assert not agrees(labelled_K3, far_K3)


class _BrightSpot:
    """Finds the brightest pixel of the box for every keypoint, always a pixel too far to the right."""

    stage: Stage = "tflite"
    precision: Precision = "fp32"

    def __init__(self) -> None:
        self.scores = np.linspace(0.1, 0.9, 17).astype(np.float32)

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        (box,) = boxes
        left = round(box.centre_x - (box.width - 1) / 2)
        inside = image_bgr_HW3[:, left : left + round(box.width)].max(axis=2)
        row, column = np.unravel_index(inside.argmax(), inside.shape)
        points_K3 = np.tile(np.array([left + column + 1, row, 0], np.float32), (17, 1))
        points_K3[:, 2] = self.scores
        return points_K3[None]


def test_a_second_look_at_the_mirrored_picture_takes_a_habit_out() -> None:
    picture = np.zeros((40, 100, 3), np.uint8)
    picture[12, 70] = 255
    teacher = _BrightSpot()
    seen_K3 = look_twice(teacher, picture, Box(65, 20, 41, 40))
    assert np.allclose(seen_K3[:, :2], (70, 12))
    assert np.allclose(seen_K3[:, 2], np.minimum(teacher.scores, teacher.scores[list(MIRROR)]))


def test_a_picture_that_ends_early_is_refused(tmp_path: Path) -> None:
    """A decoder fills the rest with grey, and the teacher would be asked about that."""
    item = {"keypoints": labelled_body().reshape(-1).tolist()}
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((100, 100, 3), 90, np.uint8))
    relabel(item, tmp_path / "a.jpg", [_BrightSpot()], 0.4, False, Tally())
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-20])
    with pytest.raises(InvalidDataset, match="cannot be decoded"):
        relabel(item, tmp_path / "a.jpg", [_BrightSpot()], 0.4, False, Tally())
