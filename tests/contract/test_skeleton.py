"""The skeleton against COCO's own constants."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from plumbline_contract.skeleton import (
    FACE,
    KEYPOINT_NAMES,
    LIMBS,
    MIRROR,
    NUM_KEYPOINTS,
    OKS_SIGMAS,
    Keypoint,
    keypoint_named,
    mirrored,
)


def test_sigmas_are_those_of_pycocotools() -> None:
    np.testing.assert_allclose(OKS_SIGMAS, Params(iouType="keypoints").kpt_oks_sigmas, atol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        OKS_SIGMAS[0] = 1.0


def test_names_and_numbers_are_in_coco_order() -> None:
    assert NUM_KEYPOINTS == 17
    assert KEYPOINT_NAMES[:3] == ("nose", "left_eye", "right_eye")
    assert KEYPOINT_NAMES[-2:] == ("left_ankle", "right_ankle")
    for index, name in enumerate(KEYPOINT_NAMES):
        assert keypoint_named(name) == index
    assert [keypoint.name for keypoint in FACE] == ["NOSE", "LEFT_EYE", "RIGHT_EYE", "LEFT_EAR", "RIGHT_EAR"]


def test_mirroring_twice_changes_nothing_and_once_swaps_sides() -> None:
    assert [MIRROR[index] for index in MIRROR] == list(range(NUM_KEYPOINTS))
    assert mirrored(Keypoint.NOSE) is Keypoint.NOSE
    for keypoint in Keypoint:
        if keypoint is not Keypoint.NOSE:
            sides = {keypoint.name.split("_")[0], mirrored(keypoint).name.split("_")[0]}
            assert sides == {"LEFT", "RIGHT"}
            assert keypoint.name.split("_")[1] == mirrored(keypoint).name.split("_")[1]


def test_limbs_are_the_same_on_both_sides_and_join_everything() -> None:
    limbs = {frozenset(limb) for limb in LIMBS}
    assert len(limbs) == len(LIMBS)
    assert {frozenset(mirrored(keypoint) for keypoint in limb) for limb in limbs} == limbs
    assert set().union(*limbs) == set(Keypoint)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"'left_toe'.*left_ankle"):
        keypoint_named("left_toe")
