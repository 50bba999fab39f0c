"""Measures on poses whose angles and distances are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from plumbline_contract.measure import BodyMeasure
from plumbline_contract.skeleton import keypoint_named
from plumbline_edge.coach.measures import read
from plumbline_edge.coach.pose import Pose

Points = dict[str, tuple[float, float]]


def pose(points: Points, scores: dict[str, float] | None = None) -> Pose:
    keypoints_K3 = np.zeros((17, 3))
    for name, (x, y) in points.items():
        keypoints_K3[keypoint_named(name)] = (x, y, (scores or {}).get(name, 0.9))
    return Pose(keypoints_K3)


def measure(**fields: Any) -> Any:
    return TypeAdapter(BodyMeasure).validate_python(fields)


KNEE_ANGLE = measure(kind="joint_angle", points=("hip", "knee", "ankle"))
RIGHT_ANGLE: Points = {"left_hip": (0, 0), "left_knee": (100, 0), "left_ankle": (100, 100)}
STRAIGHT: Points = {"right_hip": (0, 0), "right_knee": (0, 50), "right_ankle": (0, 100)}


def test_joint_angle_of_the_side_that_is_seen() -> None:
    reading = read(KNEE_ANGLE, pose(RIGHT_ANGLE), None)
    assert reading is not None
    assert reading.value == pytest.approx(90)


def test_both_sides_are_averaged_by_how_well_they_are_seen() -> None:
    reading = read(KNEE_ANGLE, pose(RIGHT_ANGLE | STRAIGHT, {"right_knee": 0.3}), None)
    assert reading is not None
    assert reading.value == pytest.approx((0.9 * 90 + 0.3 * 180) / 1.2)
    assert reading.confidence == pytest.approx(0.9)


@pytest.mark.parametrize(("tip", "degrees"), [((0, -10), 0), ((10, -10), 45), ((-10, 0), 90), ((0, 10), 180)])
def test_segment_tilt_is_from_upright_whichever_way(tip: tuple[float, float], degrees: float) -> None:
    reading = read(
        measure(kind="segment_tilt", base="left_hip", tip="left_shoulder"),
        pose({"left_hip": (0, 0), "left_shoulder": tip}),
        None,
    )
    assert reading is not None
    assert reading.value == pytest.approx(degrees)


def test_height_is_in_torso_lengths_and_positive_upwards() -> None:
    height = measure(kind="height", of="mid_hip", above="mid_knee")
    seen = pose({"left_hip": (0, 100), "right_hip": (40, 120), "left_knee": (0, 200)})
    reading = read(height, seen, 50.0)
    assert reading is not None
    assert reading.value == pytest.approx((200 - 110) / 50)
    assert read(height, seen, None) is None


def test_distance_ratio_along_x_ignores_heights() -> None:
    points: Points = {"left_knee": (30, 0), "right_knee": (0, 40), "left_ankle": (60, 90), "right_ankle": (0, 90)}
    fields = {"between": ("left_knee", "right_knee"), "over": ("left_ankle", "right_ankle")}
    along_x = read(measure(kind="distance_ratio", along="x", **fields), pose(points), None)
    anyhow = read(measure(kind="distance_ratio", **fields), pose(points), None)
    assert along_x is not None
    assert anyhow is not None
    assert along_x.value == pytest.approx(0.5)
    assert anyhow.value == pytest.approx(50 / 60)


def test_asymmetry_needs_both_sides() -> None:
    asymmetry = measure(kind="asymmetry", joint="shoulder")
    reading = read(asymmetry, pose({"left_shoulder": (0, 10), "right_shoulder": (50, 30)}), 40.0)
    assert reading is not None
    assert reading.value == pytest.approx(0.5)
    assert read(asymmetry, pose({"left_shoulder": (0, 10)}), 40.0) is None


def test_points_on_top_of_each_other_give_no_reading() -> None:
    same: Points = {"left_hip": (5, 5), "left_knee": (5, 5), "left_ankle": (5, 5)}
    assert read(KNEE_ANGLE, pose(same), None) is None
    ratio = measure(kind="distance_ratio", between=("left_hip", "left_knee"), over=("left_hip", "left_ankle"))
    assert read(ratio, pose(same), None) is None


@pytest.mark.parametrize("score", [0.1, 0.0, float("nan")])
def test_an_unseen_point_gives_no_reading(score: float) -> None:
    assert read(KNEE_ANGLE, pose(RIGHT_ANGLE, {"left_knee": score}), None) is None
