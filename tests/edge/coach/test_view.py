"""The view from keypoints of people of sticks turned by known angles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.edge.coach.following import follow
from tests.edge.coach.squatter import Camera, Squat, film

from plumbline_contract.skeleton import Keypoint
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.view import ViewEstimator, facing_camera


@pytest.mark.parametrize(
    ("yaw_degrees", "view"),
    [(0, "front"), (25, "front"), (50, "three_quarter"), (-55, "three_quarter"), (82, "side"), (-90, "side")],
)
def test_the_view_follows_the_turn(yaw_degrees: float, view: str) -> None:
    clip = film([Squat()], camera=Camera(yaw_degrees)).noisy(0, jitter=0.03)
    assert {state.view for state in follow(clip)[30:]} == {view}


def test_a_person_who_shows_one_side_only_is_seen_from_the_side() -> None:
    keypoints_K3 = film([], camera=Camera(90)).keypoints_TK3[0].copy()
    keypoints_K3[[Keypoint.RIGHT_SHOULDER, Keypoint.RIGHT_HIP], 2] = 0.0
    assert facing_camera(Pose(keypoints_K3), 100.0) == 0.0


def test_the_view_is_unknown_without_shoulders_and_hips() -> None:
    estimator = ViewEstimator()
    for frame in range(10):
        assert estimator.update(frame / 30, Pose(np.zeros((17, 3))), None) is None


def test_the_view_does_not_flutter_at_a_border() -> None:
    rng = np.random.default_rng(0)
    estimator = ViewEstimator()
    views = []
    for frame in range(300):
        camera = Camera(41.0 + rng.normal(0, 1.5))
        pose = Pose(film([], rate_hz=1, camera=camera).keypoints_TK3[0])
        views.append(estimator.update(frame / 30, pose, pose.torso_px()))
    changes = sum(one != other for one, other in pairwise(views[10:]))
    assert changes <= 1
