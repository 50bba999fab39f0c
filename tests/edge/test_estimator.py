"""A person through a row of pictures, by a real network: followed, lost and found again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tests.edge.dots import DOTS_FP32, picture, squats, standing

from plumbline_edge.bundle import open_bundle
from plumbline_edge.estimator import Pose, PoseEstimator
from plumbline_edge.frame import Frame
from plumbline_edge.metrics import Stage

RATE = 25.0
SIZE = (360, 640)


def new_estimator(stages: list[Stage] | None = None) -> PoseEstimator:
    noted: list[Stage] = [] if stages is None else stages
    return PoseEstimator(open_bundle(DOTS_FP32).load_model(1), lambda stage, seconds: noted.append(stage))


def estimate(estimator: PoseEstimator, persons: list[npt.NDArray[np.float32] | None], first: int = 0) -> list[Pose]:
    return [
        estimator.estimate(Frame(picture(person, SIZE), index / RATE, index, 0.0))
        for index, person in enumerate(persons, start=first)
    ]


def test_squatting_person_is_followed_within_two_percent_of_their_height() -> None:
    truth_TK3 = squats(2, size=SIZE)
    poses = estimate(new_estimator(), list(truth_TK3))
    assert all(pose.seen for pose in poses)
    errors_TK = [
        np.linalg.norm(pose.keypoints_K3[:, :2] - truth_K3[:, :2], axis=1)
        for pose, truth_K3 in zip(poses[3:], truth_TK3[3:], strict=True)
    ]
    assert float(np.percentile(errors_TK, 95)) < 0.02 * 0.85 * SIZE[0]


def test_lost_person_is_found_within_three_frames_of_coming_back_elsewhere() -> None:
    estimator = new_estimator()
    here, there = standing(330, 30, 300), standing(120, 30, 300)
    assert all(pose.seen for pose in estimate(estimator, [here] * 10))
    gone = estimate(estimator, [None] * 30, first=10)
    assert not any(pose.seen for pose in gone)
    assert (gone[-1].keypoints_K3 == 0).all()
    back = estimate(estimator, [there] * 5, first=40)
    assert [pose.seen for pose in back].index(True) < 3
    assert np.linalg.norm(back[-1].keypoints_K3[:, :2] - there[:, :2], axis=1).max() < 6.0


def test_person_at_the_edge_of_the_picture_is_found() -> None:
    poses = estimate(new_estimator(), [standing(560, 20, 320)] * 6)
    assert poses[-1].seen


def test_every_stage_is_timed_once_a_frame() -> None:
    stages: list[Stage] = []
    estimate(new_estimator(stages), [standing(320, 30, 300)] * 3)
    assert stages == ["preprocess", "inference", "decode"] * 3
