"""What an analysis keeps of a recording for its report."""

from __future__ import annotations

import numpy as np
from tests.edge.coach.squatter import Squat, film

from plumbline_contract.skeleton import Keypoint
from plumbline_edge.analysis import Analysis
from plumbline_edge.coach.exercises import load_exercise

RATE = 15.0
GROUND = np.zeros((480, 640, 3), np.uint8)


def test_the_moment_shown_of_a_fault_is_not_of_an_attempt_that_was_given_up() -> None:
    """Somebody sits down for 20 s, which is no squat, stands up, and then does one that is too shallow."""
    seated = film([Squat(seconds=4.0)], "side", RATE).keypoints_TK3
    lowest = int(np.argmax(seated[:, Keypoint.LEFT_HIP, 1]))
    sitting = np.repeat(seated[lowest][None], round(20 * RATE), axis=0)
    before = np.concatenate([seated[:lowest], sitting, seated[lowest:]])
    keypoints_TK3 = np.concatenate([before, film([Squat(thigh_degrees=60)], "side", RATE).keypoints_TK3])
    analysis = Analysis(load_exercise("squat"))
    for frame, keypoints_K3 in enumerate(keypoints_TK3):
        analysis.take(frame / RATE, GROUND, keypoints_K3, True)
    (repetition,) = analysis.repetitions
    assert (repetition.counted, repetition.faults) == (False, ("too_shallow",))
    assert repetition.began_seconds <= analysis.worst["too_shallow"].seconds <= repetition.ended_seconds
