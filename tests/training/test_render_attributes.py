"""What is measured of levels is true of numbers whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.conftest import STANDING_K2

from plumbline_contract.skeleton import Keypoint
from plumbline_training.render.attributes import compare_levels, found_share
from plumbline_training.render.errors import InvalidRequest
from plumbline_training.render.person import OCCLUDED, OUTSIDE, VISIBLE
from plumbline_training.render.pictures import Labelled


def labelled() -> Labelled:
    keypoints_K3 = np.concatenate([STANDING_K2 * 200, np.full((17, 1), VISIBLE)], axis=1)
    return Labelled(keypoints_K3, (0.0, 0.0, 200.0, 200.0), 9000.0, "squat")


def test_share_counts_visible_keypoints_within_a_fifth_of_the_torso() -> None:
    person = labelled()
    found_K3 = person.keypoints_K3.astype(np.float32)
    assert found_share(person, found_K3) == 1
    found_K3[Keypoint.NOSE, 0] += 100
    found_K3[Keypoint.LEFT_KNEE, 1] += 1
    assert found_share(person, found_K3) == pytest.approx(16 / 17)
    person.keypoints_K3[Keypoint.NOSE, 2] = OCCLUDED
    assert found_share(person, found_K3) == 1
    person.keypoints_K3[Keypoint.LEFT_HIP, 2] = OUTSIDE
    assert math.isnan(found_share(person, found_K3))


def test_levels_are_compared_over_the_scenes_that_all_of_them_have() -> None:
    scenes = np.random.default_rng(0).uniform(0.3, 0.9, 40)
    worse = scenes - 0.1
    worse[3] = math.nan
    better, bad = compare_levels("skin", {"better": list(scenes), "bad": list(worse)})
    assert (better.scenes, bad.scenes) == (39, 39)
    # All scenes differ alike, however much they differ from one another: nothing is left to chance.
    assert [better.difference, bad.difference] == pytest.approx([0.05, -0.05])
    assert better.interval == pytest.approx((0.05, 0.05))
    assert better.pck - bad.pck == pytest.approx(0.1)


def test_too_few_scenes_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match="--count"):
        compare_levels("age", {"adult": [0.5, math.nan], "old": [math.nan, 0.5]})
