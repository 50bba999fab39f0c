"""Mends noisy labels by what teachers see: sides exchanged, joints nowhere near or a little off. Axes: K keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.skeleton import MIRROR, Keypoint

Keypoints = npt.NDArray[np.float32]
"""(K, 3): x, y in image pixels and COCO's v, or a teacher's score."""

ARMS: Final = (Keypoint.LEFT_ELBOW, Keypoint.RIGHT_ELBOW, Keypoint.LEFT_WRIST, Keypoint.RIGHT_WRIST)
LEGS: Final = (Keypoint.LEFT_KNEE, Keypoint.RIGHT_KNEE, Keypoint.LEFT_ANKLE, Keypoint.RIGHT_ANKLE)
TORSO: Final = (Keypoint.LEFT_SHOULDER, Keypoint.RIGHT_SHOULDER, Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP)
GROUPS: Final = ((*TORSO, *ARMS, *LEGS), ARMS, LEGS)
"""Joints whose sides annotators exchange together, the whole body first."""
MIN_SURE: Final = 3
"""Joints of a group that a teacher must be sure of to say that sides are exchanged."""
NEAR: Final = 0.1
"""Of the person's size: exchanged sides must bring labels this near to what the teacher sees."""
FAR: Final = 0.25
"""Of the person's size: a joint further from every teacher is believed by none."""
TEACHERS_SHARE: Final = 0.75
"""How far a label moves towards what a sure teacher sees near it; the rest keeps a teacher's own habits out."""


def person_size(labelled_K3: Keypoints) -> float:
    """Diagonal of the labelled joints' extent, in pixels."""
    return float(np.linalg.norm(np.ptp(labelled_K3[labelled_K3[:, 2] > 0, :2], axis=0)))


def exchanged(labelled_K3: Keypoints) -> Keypoints:
    """The same labels with left and right exchanged."""
    return labelled_K3[list(MIRROR)]


def upright(taught_K3: Keypoints) -> bool:
    """Whether the shoulders are above the hips: teachers confuse the sides of people upside down themselves."""
    torso_42 = taught_K3[list(TORSO), :2]
    along_2 = torso_42[2:].mean(axis=0) - torso_42[:2].mean(axis=0)
    return bool(along_2[1] > 0.5 * np.linalg.norm(along_2))


def exchange_sides(labelled_K3: Keypoints, taught_K3: Keypoints, min_score: float) -> int:
    """Exchange left and right, in place, of the groups where that explains the error; how many joints moved.

    Of people who are not upright nothing is exchanged.
    """
    if not upright(taught_K3):
        return 0
    moved, near = 0, NEAR * person_size(labelled_K3)
    for group in GROUPS:
        joints = list(group)
        other_K3 = exchanged(labelled_K3)
        known = (taught_K3[joints, 2] >= min_score) & (labelled_K3[joints, 2] > 0) & (other_K3[joints, 2] > 0)
        if known.sum() < MIN_SURE:
            continue
        as_is, swapped = (
            float(np.linalg.norm(points_K3[joints, :2] - taught_K3[joints, :2], axis=1)[known].mean())
            for points_K3 in (labelled_K3, other_K3)
        )
        if swapped < near and as_is > 2 * swapped and as_is > near:
            labelled_K3[joints] = other_K3[joints]
            moved += len(joints)
    return moved


def drop_unbelieved(labelled_K3: Keypoints, opinions: Sequence[Keypoints], min_score: float) -> int:
    """Unlabel, in place, the joints that lie far from where every sure teacher sees them; how many there were.

    A joint that no teacher is sure of stays.
    """
    far, dropped = FAR * person_size(labelled_K3), 0
    for joint in (*TORSO, *ARMS, *LEGS):
        sure = [taught_K3 for taught_K3 in opinions if taught_K3[joint, 2] >= min_score]
        distances = [float(np.linalg.norm(labelled_K3[joint, :2] - taught_K3[joint, :2])) for taught_K3 in sure]
        if labelled_K3[joint, 2] > 0 and distances and min(distances) > far:
            labelled_K3[joint] = 0
            dropped += 1
    return dropped


def settle(labelled_K3: Keypoints, taught_K3: Keypoints, min_score: float) -> int:
    """Move, in place, the body's joints towards where a sure teacher sees them near by; how many there were.

    What annotators clicked scatters around the joint more than a good teacher does.
    """
    moved, near = 0, NEAR * person_size(labelled_K3)
    for joint in (*TORSO, *ARMS, *LEGS):
        off_2 = taught_K3[joint, :2] - labelled_K3[joint, :2]
        if labelled_K3[joint, 2] > 0 and taught_K3[joint, 2] >= min_score and float(np.linalg.norm(off_2)) < near:
            labelled_K3[joint, :2] += TEACHERS_SHARE * off_2
            moved += 1
    return moved
