"""Correct poses that are hard to find: both sides at fault, and a head that is turned along with the body."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from tests.edge.coach.figures import MOTIONS, YAW, Camera, Motion, project, skeleton

from plumbline_contract.skeleton import Keypoint
from plumbline_edge.coach import load_exercise
from plumbline_edge.coach.correction import with_lengths_of
from plumbline_edge.coach.faults import FaultJudge
from plumbline_edge.coach.ghost import Corrector
from plumbline_edge.coach.measures import Side, read
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.progress import ProgressTracker

SIDE = Camera(YAW["side"])


def put_right(name: str, fault: str, motion: Motion) -> tuple[Pose, npt.NDArray[np.float64], float]:
    """The motion's full pose from the side, what puts the fault right in it (17, 2), and the torso's pixels."""
    exercise = load_exercise(name)
    corrector = Corrector(exercise, FaultJudge(exercise.faults).watches, ProgressTracker(exercise.progress))
    pose = Pose(project(skeleton(motion.at(1.0), motion.arms_sideways), SIDE))
    torso_px = pose.torso_px()
    assert torso_px is not None
    points_K2 = corrector.correct(pose, next(item for item in exercise.faults if item.name == fault), torso_px, "side")
    assert points_K2 is not None
    return pose, points_K2, torso_px


def seen(pose: Pose, points_K2: npt.NDArray[np.float64]) -> Pose:
    return Pose(np.concatenate([points_K2, pose.keypoints_K3[:, 2:]], axis=1))


@pytest.mark.parametrize("left", [95.0, 120.0])
def test_both_arms_are_put_right_at_once(left: float) -> None:
    """Each elbow hangs at its own side; the limb of the moment's worst side is not all that is at fault."""
    wrong = MOTIONS["bicep_curl"].wrong(left_upper_arm=left, right_upper_arm=105, forearm=30)
    pose, points_K2, _ = put_right("bicep_curl", "elbows_drifting", wrong)
    drifting = next(fault for fault in load_exercise("bicep_curl").faults if fault.name == "elbows_drifting")
    sides: tuple[Side, ...] = ("left", "right")
    for side in sides:
        before = read(drifting.condition.measure, pose, None, [side])  # type: ignore[arg-type]
        after = read(drifting.condition.measure, seen(pose, points_K2), None, [side])  # type: ignore[arg-type]
        assert before is not None
        assert after is not None
        assert before.value > drifting.condition.threshold
        assert after.value == pytest.approx(drifting.target, abs=1.0)


PIKES = [20.0, 40.0]


def piked(degrees: float) -> Motion:
    """A push-up whose hips are too high, the head in line with the trunk but for a little."""
    motion = MOTIONS["push_up"]
    trunk, leg = motion.at(0.0)["trunk"] + degrees, 252 - degrees
    return Motion(motion.rest, {"trunk": trunk, "head": trunk + 18, "thigh": leg, "shin": leg, "forearm": 180})


@pytest.mark.parametrize("pike", PIKES)
def test_what_is_kept_beside_the_fault_is_kept_when_limbs_are_brought_to_their_lengths(pike: float) -> None:
    pose, points_K2, torso_px = put_right("push_up", "hips_too_high", piked(pike))
    drawn = seen(pose, with_lengths_of(pose, points_K2, torso_px))
    for name in ("hips_too_high", "head_hanging"):
        fault = next(item for item in load_exercise("push_up").faults if item.name == name)
        found, kept = (read(fault.condition.measure, each, torso_px) for each in (seen(pose, points_K2), drawn))  # type: ignore[arg-type]
        assert found is not None
        assert kept is not None
        assert kept.value < fault.condition.threshold - 3
        assert kept.value == pytest.approx(found.value, abs=0.7)


@pytest.mark.parametrize("pike", PIKES)
def test_a_face_keeps_its_size_and_turns_with_the_neck(pike: float) -> None:
    pose, points_K2, _ = put_right("push_up", "hips_too_high", piked(pike))
    (face, neck), (face_before, neck_before) = _head(points_K2), _head(pose.keypoints_K3[:, :2])
    turned, face_turned = (
        float(np.degrees(np.angle(after / before))) for after, before in ((neck, neck_before), (face, face_before))
    )
    assert abs(turned) > 5
    assert face_turned == pytest.approx(turned, abs=2)
    assert abs(face) == pytest.approx(abs(face_before), rel=1e-6)


def _head(points_K2: npt.NDArray[np.float64]) -> tuple[complex, complex]:
    """The ways from the ears to the nose and from the shoulders to the ears, as complex numbers."""
    plane_K = points_K2[:, 0] + 1j * points_K2[:, 1]
    ears = plane_K[[Keypoint.LEFT_EAR, Keypoint.RIGHT_EAR]].mean()
    shoulders = plane_K[[Keypoint.LEFT_SHOULDER, Keypoint.RIGHT_SHOULDER]].mean()
    return complex(plane_K[Keypoint.NOSE] - ears), complex(ears - shoulders)
