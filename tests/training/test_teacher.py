"""A teacher fills what is not labelled, and only that."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import FACE, Keypoint
from plumbline_training.teacher import agrees, fill


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
