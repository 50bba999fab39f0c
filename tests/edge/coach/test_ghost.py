"""The correct pose: what is at fault is right in it, limbs keep their lengths, feet stay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from tests.edge.coach.following import follow
from tests.edge.coach.squatter import YAW, Camera, Squat, body, film, project

from plumbline_contract.exercise import Fault, View
from plumbline_contract.measure import MovementProgress, Tempo
from plumbline_contract.skeleton import LIMBS, Keypoint
from plumbline_edge.coach import load_exercise
from plumbline_edge.coach.faults import FaultJudge
from plumbline_edge.coach.ghost import Corrector
from plumbline_edge.coach.measures import read
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.progress import ProgressTracker

SQUAT = load_exercise("squat")
FAULTS = {fault.name: fault for fault in SQUAT.faults}
ANKLES = [Keypoint.LEFT_ANKLE, Keypoint.RIGHT_ANKLE]


def frame(squat: Squat, view: str, share: float = 1.0) -> Pose:
    return Pose(project(body(squat, share), Camera(YAW[view])))


class Setting:
    """A corrector that has seen somebody stand for two seconds."""

    def __init__(self, view: View) -> None:
        self.view: View = view
        self.progress = ProgressTracker(SQUAT.progress)
        self.corrector = Corrector(SQUAT, FaultJudge(SQUAT.faults).watches, self.progress)
        standing = frame(Squat(), view, 0.0)
        torso_px = standing.torso_px()
        assert torso_px is not None
        self.torso_px = torso_px
        for number in range(20):
            self.corrector.lengths.update(number / 10, standing, torso_px)
            self.progress.update(number / 10, standing, torso_px, view)

    def correct(self, pose: Pose, fault: str) -> npt.NDArray[np.float64] | None:
        return self.corrector.correct(pose, FAULTS[fault], self.torso_px, self.view)

    def value(self, fault: Fault, points_K2: npt.NDArray[np.float64]) -> float | None:
        pose = Pose(np.concatenate([points_K2, np.full((17, 1), 0.9)], axis=1))
        measure = fault.condition.measure
        if isinstance(measure, MovementProgress):
            return self.progress.of(pose, self.torso_px, self.view)
        reading = read(measure, pose, self.torso_px)  # type: ignore[arg-type]
        return reading.value if reading else None


CASES: list[tuple[str, View, Squat]] = [
    ("leaning_too_far", "side", Squat(trunk_degrees=75)),
    ("leaning_too_far", "three_quarter", Squat(trunk_degrees=78)),
    ("knees_caving_in", "front", Squat(knees_over_ankles=0.4)),
    ("too_shallow", "front", Squat(thigh_degrees=55)),
    ("too_shallow", "side", Squat(thigh_degrees=55)),
    ("too_shallow", "three_quarter", Squat(thigh_degrees=55)),
]


@pytest.mark.parametrize(("name", "view", "squat"), CASES)
def test_the_fault_is_put_right_over_planted_feet(name: str, view: View, squat: Squat) -> None:
    setting, pose = Setting(view), frame(squat, view)
    points_K2 = setting.correct(pose, name)
    assert points_K2 is not None
    value = setting.value(FAULTS[name], points_K2)
    tolerance = 0.03 * max(abs(FAULTS[name].target), 1.0)
    assert value == pytest.approx(FAULTS[name].target, abs=tolerance)
    assert np.abs(points_K2[ANKLES] - pose.keypoints_K3[ANKLES, :2]).max() < 0.01 * setting.torso_px


@pytest.mark.parametrize(("name", "view", "squat"), CASES)
def test_limbs_keep_their_lengths(name: str, view: View, squat: Squat) -> None:
    setting, pose = Setting(view), frame(squat, view)
    points_K2 = setting.correct(pose, name)
    assert points_K2 is not None
    true = {limb: length * setting.torso_px for limb, length in setting.corrector.lengths.in_torsos().items()}
    for one, other in LIMBS:
        before = float(np.hypot(*(pose.keypoints_K3[one, :2] - pose.keypoints_K3[other, :2])))
        after = float(np.hypot(*(points_K2[one] - points_K2[other])))
        at_camera = before < 0.15 * setting.torso_px
        slack = 0.02 * before + (0.035 if at_camera else 0.005) * setting.torso_px
        if view == "side":
            assert after == pytest.approx(before, abs=slack)
        else:
            assert after < max(before, true[(one, other)]) + slack


@pytest.mark.parametrize(("name", "view", "squat"), CASES)
def test_no_other_rule_is_broken(name: str, view: View, squat: Squat) -> None:
    setting, pose = Setting(view), frame(squat, view)
    points_K2 = setting.correct(pose, name)
    assert points_K2 is not None
    for fault in SQUAT.faults:
        shows_in_a_pose = view in fault.views and not isinstance(fault.condition.measure, Tempo)
        value = setting.value(fault, points_K2) if shows_in_a_pose else None
        if value is not None:
            beyond = value - fault.condition.threshold
            assert (beyond if fault.condition.comparison == "above" else -beyond) <= 0, fault.name


@pytest.mark.parametrize("view", YAW)
def test_a_correct_squat_needs_no_correction(view: View) -> None:
    setting = Setting(view)
    pose = frame(Squat(thigh_degrees=102), view)
    judged_here = [fault.name for fault in SQUAT.faults if view in fault.views]
    assert [name for name in judged_here if setting.correct(pose, name) is not None] == []


def test_the_ghost_moves_smoothly_and_scores_as_the_person_does() -> None:
    clip = film([Squat(trunk_degrees=75)], "side")
    clip.keypoints_TK3[:, Keypoint.RIGHT_WRIST, 2] = 0.0
    ghosts = [state.ghost_K3 for state in follow(clip)]
    drawn = [frame for frame, ghost in enumerate(ghosts) if ghost is not None]
    assert len(drawn) > 10
    for before, after in pairwise(drawn):
        one, other = ghosts[before], ghosts[after]
        assert one is not None
        assert other is not None
        if after == before + 1:
            assert np.abs(one[:, :2] - other[:, :2]).max() < 15
        assert other[Keypoint.RIGHT_WRIST, 2] == 0.0


def test_nothing_seen_gives_no_ghost() -> None:
    nobody = Pose(np.zeros((17, 3)))
    setting = Setting("side")
    assert [setting.correct(nobody, name) for name in FAULTS] == [None] * len(FAULTS)
