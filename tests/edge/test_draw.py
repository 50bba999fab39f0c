"""What is drawn where; how it looks is for eyes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from tests.edge.dots import standing

from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import Keypoint
from plumbline_edge.draw import BODY, FAULT, GHOST, Overlay, draw_annotated, draw_pose

GREY = 90
PERSON = standing(320, 60, 340)
OVERLAY = Overlay(PERSON, None, frozenset(), reps=3, phase="standing", cue=None, cue_is_praise=False, fps=24.6)


def blank(height: int = 480, width: int = 640) -> Image:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def colour_at(image: Image, keypoints_K3: npt.NDArray[np.floating], keypoint: Keypoint) -> tuple[int, ...]:
    x, y = keypoints_K3[keypoint, :2].round().astype(int)
    return tuple(int(value) for value in image[y, x])


def test_joints_are_drawn_where_they_are_and_faulty_ones_stand_out() -> None:
    image = blank()
    draw_pose(image, replace(OVERLAY, faulty=frozenset({Keypoint.LEFT_KNEE})))
    assert colour_at(image, PERSON, Keypoint.LEFT_KNEE) == FAULT
    assert colour_at(image, PERSON, Keypoint.RIGHT_KNEE) == BODY


def test_joints_of_low_score_or_unknown_place_are_left_out() -> None:
    person = PERSON.copy()
    person[Keypoint.LEFT_WRIST, 2] = 0.05
    person[Keypoint.RIGHT_WRIST] = np.nan
    image = blank()
    draw_pose(image, replace(OVERLAY, keypoints_K3=person))
    assert colour_at(image, PERSON, Keypoint.LEFT_WRIST) == (GREY,) * 3
    assert colour_at(image, PERSON, Keypoint.RIGHT_WRIST) == (GREY,) * 3


def test_ghost_lies_translucent_under_the_skeleton() -> None:
    ghost = PERSON.copy()
    ghost[:, 0] += 150
    image = blank()
    draw_pose(image, replace(OVERLAY, ghost_K3=ghost))
    between = (ghost[Keypoint.LEFT_HIP, :2] + ghost[Keypoint.LEFT_KNEE, :2]) / 2
    x, y = between.round().astype(int)
    pixel = image[y, x].astype(int)
    assert (np.abs(pixel - (0.45 * np.array(GHOST) + 0.55 * GREY)) <= 2).all()
    assert colour_at(image, PERSON, Keypoint.LEFT_HIP) == BODY


def test_panels_hold_the_numbers_and_the_cue_and_only_the_annotated_picture_has_them() -> None:
    plain, with_cue, pose_only = blank(), blank(), blank()
    draw_annotated(plain, OVERLAY)
    draw_annotated(with_cue, replace(OVERLAY, cue="Push your knees out"))
    draw_pose(pose_only, replace(OVERLAY, cue="Push your knees out"))
    banner = slice(400, 470), slice(120, 520)
    assert (plain[20:90, 20:140] != GREY).any()
    assert (plain[15:35, 560:625] != GREY).any()
    assert with_cue[banner].std() > 3 * plain[banner].std()
    assert (pose_only[20:90, 20:140] == GREY).all()


def test_long_cue_stays_inside_the_picture() -> None:
    image = blank(240, 320)
    draw_annotated(image, replace(OVERLAY, keypoints_K3=PERSON / 2, cue="Keep your chest up and push your knees out!"))
    assert (image[:, :4] == GREY).all()
    assert (image[:, -4:] == GREY).all()


def test_without_a_person_the_picture_asks_for_one() -> None:
    image = blank()
    draw_annotated(image, replace(OVERLAY, keypoints_K3=None))
    assert (image[400:470, 200:440] > 200).any()


@pytest.mark.parametrize("offset", [-5000.0, 5000.0, 1e9])
def test_keypoints_far_outside_the_picture_do_no_harm(offset: float) -> None:
    person = PERSON.copy()
    person[:, :2] += offset
    image = blank()
    draw_pose(image, replace(OVERLAY, keypoints_K3=person, ghost_K3=person))
    assert (image == GREY).all()


def test_smallest_pictures_are_drawn_on() -> None:
    draw_annotated(np.zeros((16, 16, 3), np.uint8), replace(OVERLAY, cue="Go lower", ghost_K3=PERSON))
