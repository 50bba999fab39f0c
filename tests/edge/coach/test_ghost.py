"""The correct pose: what is at fault is right in it, limbs keep their lengths, feet stay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from tests.edge.coach.following import follow
from tests.edge.coach.squatter import YAW, Camera, Squat, body, film, project

from plumbline_contract.exercise import Fault, MovementProgress
from plumbline_contract.skeleton import LIMBS, Keypoint
from plumbline_edge.coach import load_exercise
from plumbline_edge.coach.ghost import LEGS, LegLengths, corrected
from plumbline_edge.coach.measures import read
from plumbline_edge.coach.pose import Pose

FAULTS = {fault.name: fault for fault in load_exercise("squat").faults}
ANKLES = [Keypoint.LEFT_ANKLE, Keypoint.RIGHT_ANKLE]


def frame(squat: Squat, view: str, share: float = 1.0) -> Pose:
    return Pose(project(body(squat, share), Camera(YAW[view])))


def lengths_of(view: str) -> dict[tuple[Keypoint, Keypoint], float]:
    lengths, standing = LegLengths(), frame(Squat(), view, 0.0)
    torso_px = standing.torso_px()
    assert torso_px is not None
    for number in range(10):
        lengths.update(number / 10, standing, torso_px)
    return lengths.in_pixels(torso_px)


def value(fault: Fault, pose: Pose) -> float:
    assert not isinstance(fault.condition.measure, MovementProgress)
    reading = read(fault.condition.measure, pose, pose.torso_px())
    assert reading is not None
    return reading.value


def as_pose(points_K2: npt.NDArray[np.float64]) -> Pose:
    return Pose(np.concatenate([points_K2, np.full((17, 1), 0.9)], axis=1))


@pytest.mark.parametrize("yaw_degrees", [88.0, -88.0, 55.0])
def test_a_lean_is_turned_back_to_the_target_with_every_limb_as_long(yaw_degrees: float) -> None:
    pose = Pose(project(body(Squat(trunk_degrees=75), 1.0), Camera(yaw_degrees)))
    points_K2 = corrected(pose, FAULTS["leaning_too_far"], {})
    assert points_K2 is not None
    assert value(FAULTS["leaning_too_far"], as_pose(points_K2)) == pytest.approx(42, abs=0.1)
    for one, other in LIMBS:
        if {one, other} & {Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP} and min(one, other) < Keypoint.LEFT_HIP:
            continue
        before = np.hypot(*(pose.keypoints_K3[one, :2] - pose.keypoints_K3[other, :2]))
        assert np.hypot(*(points_K2[one] - points_K2[other])) == pytest.approx(before, abs=1e-6)
    np.testing.assert_array_equal(points_K2[Keypoint.LEFT_HIP :], pose.keypoints_K3[Keypoint.LEFT_HIP :, :2])
    assert as_pose(points_K2).torso_px() == pytest.approx(pose.torso_px())


def test_caved_knees_go_out_over_the_feet_and_nothing_else_moves() -> None:
    pose = frame(Squat(knees_over_ankles=0.4), "front")
    lengths = lengths_of("front")
    points_K2 = corrected(pose, FAULTS["knees_caving_in"], lengths)
    assert points_K2 is not None
    assert value(FAULTS["knees_caving_in"], as_pose(points_K2)) == pytest.approx(1.05, abs=0.02)
    still = [keypoint for keypoint in Keypoint if keypoint not in (Keypoint.LEFT_KNEE, Keypoint.RIGHT_KNEE)]
    np.testing.assert_array_equal(points_K2[still], pose.keypoints_K3[still, :2])


@pytest.mark.parametrize("view", YAW)
def test_a_shallow_squat_goes_down_to_level_thighs_over_planted_feet(view: str) -> None:
    pose = frame(Squat(thigh_degrees=55), view)
    lengths = lengths_of(view)
    points_K2 = corrected(pose, FAULTS["too_shallow"], lengths)
    assert points_K2 is not None
    np.testing.assert_array_equal(points_K2[ANKLES], pose.keypoints_K3[ANKLES, :2])
    drop_before = pose.keypoints_K3[Keypoint.LEFT_KNEE, 1] - pose.keypoints_K3[Keypoint.LEFT_HIP, 1]
    drop_after = points_K2[Keypoint.LEFT_KNEE, 1] - points_K2[Keypoint.LEFT_HIP, 1]
    thigh_px = lengths[(Keypoint.LEFT_KNEE, Keypoint.LEFT_HIP)]
    assert drop_after < 0.12 * thigh_px < drop_before
    for ankle, knee, hip in LEGS:
        for limb in ((ankle, knee), (knee, hip)):
            seen_px = np.hypot(*(points_K2[limb[0]] - points_K2[limb[1]]))
            assert seen_px < 1.08 * lengths[limb]  # perspective: what comes nearer to the camera looks longer


@pytest.mark.parametrize("view", YAW)
def test_a_correct_squat_needs_no_correction(view: str) -> None:
    pose = frame(Squat(thigh_degrees=102), view)
    lengths = lengths_of(view)
    judged_here = [fault for fault in FAULTS.values() if view in fault.views]
    assert [fault.name for fault in judged_here if corrected(pose, fault, lengths) is not None] == []


def test_the_ghost_moves_smoothly_and_scores_as_the_person_does() -> None:
    clip = film([Squat(trunk_degrees=75)], "side")
    clip.keypoints_TK3[:, Keypoint.RIGHT_WRIST, 2] = 0.0
    ghosts = [state.ghost_K3 for state in follow(clip)]
    drawn = [frame for frame, ghost in enumerate(ghosts) if ghost is not None]
    assert len(drawn) > 10
    assert drawn == list(range(drawn[0], drawn[-1] + 1))
    for before, after in pairwise(drawn):
        one, other = ghosts[before], ghosts[after]
        assert one is not None
        assert other is not None
        assert np.abs(one[:, :2] - other[:, :2]).max() < 15
        assert other[Keypoint.RIGHT_WRIST, 2] == 0.0
        np.testing.assert_array_equal(other[ANKLES, :2], clip.keypoints_TK3[after][ANKLES, :2])


def test_nothing_seen_gives_no_ghost() -> None:
    nobody = Pose(np.zeros((17, 3)))
    assert [corrected(nobody, fault, {}) for fault in FAULTS.values()] == [None, None, None]
