"""Boxes and their matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from plumbline_contract.box import Box, affine_matrix, box_from_keypoints, invert_affine, transform_points
from plumbline_contract.errors import InvalidBox


def random_boxes(count: int) -> list[Box]:
    rng = np.random.default_rng(4)
    numbers_N5 = rng.uniform([-50, -50, 1, 1, -400], [900, 900, 700, 700, 400], (count, 5))
    return [Box(x, y, width, height, angle_degrees) for x, y, width, height, angle_degrees in numbers_N5.tolist()]


@pytest.mark.parametrize(
    "numbers",
    [
        (0, 0, 0, 5),
        (0, 0, 5, -1),
        (math.nan, 0, 5, 5),
        (0, math.inf, 5, 5),
        (0, 0, 5, 5, math.nan),
        (0, 0, math.inf, 5),
    ],
)
def test_a_box_without_area_or_with_a_number_that_is_none_is_refused(numbers: Any) -> None:
    with pytest.raises(InvalidBox, match="must be positive and every number finite"):
        Box(*numbers)


def test_coco_boxes_are_left_top_width_height() -> None:
    assert Box.from_xywh([10, 20, 30, 41]) == Box(24.5, 40.0, 30, 41)
    assert Box.from_xywh([0, 0, 640, 480]) == Box.whole_image(480, 640)


def test_padding_and_aspect_keep_the_centre_and_cover_the_box() -> None:
    for box in random_boxes(50):
        padded = box.padded(1.25)
        assert (padded.width, padded.height) == pytest.approx((1.25 * box.width, 1.25 * box.height))
        grown = box.with_aspect(0.75)
        assert grown.width / grown.height == pytest.approx(0.75)
        assert grown.width >= box.width - 1e-9
        assert grown.height >= box.height - 1e-9
        assert grown.width == pytest.approx(box.width) or grown.height == pytest.approx(box.height)
        assert (grown.centre_x, grown.centre_y, grown.angle_degrees) == (box.centre_x, box.centre_y, box.angle_degrees)


def test_the_box_edges_land_on_the_crop_edges() -> None:
    matrix_23 = affine_matrix(Box.from_xywh([10, 20, 96, 128]), 256, 192)
    corners = transform_points(matrix_23, np.array([[9.5, 19.5], [105.5, 147.5]]))
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [191.5, 255.5]], atol=1e-9)


def test_the_matrix_turns_by_the_angle_and_scales_both_axes_alike() -> None:
    for box in random_boxes(50):
        linear = affine_matrix(box, 64, 48)[:, :2]
        scale = 48 / box.with_aspect(48 / 64).width
        np.testing.assert_allclose(linear @ linear.T, scale**2 * np.eye(2), atol=1e-9 * scale**2 + 1e-12)
        assert np.linalg.det(linear) > 0
        centre = transform_points(affine_matrix(box, 64, 48), np.array([box.centre_x, box.centre_y]))
        np.testing.assert_allclose(centre, (23.5, 31.5), atol=1e-6)


def test_at_90_degrees_the_top_of_the_crop_shows_what_lies_to_the_right() -> None:
    matrix_23 = affine_matrix(Box(100, 100, 50, 50, 90), 64, 64)
    x, y = transform_points(matrix_23, np.array([120.0, 100.0]))
    assert x == pytest.approx(31.5)
    assert y < 31.5


def test_inverting_is_undone_by_inverting() -> None:
    points = np.random.default_rng(5).uniform(-100, 1000, (20, 2))
    for box in random_boxes(30):
        matrix_23 = affine_matrix(box, 256, 192)
        there_and_back = transform_points(invert_affine(matrix_23), transform_points(matrix_23, points))
        np.testing.assert_allclose(there_and_back, points, atol=1e-6)
        np.testing.assert_allclose(invert_affine(invert_affine(matrix_23)), matrix_23, rtol=1e-7, atol=1e-7)


def test_the_box_around_keypoints_holds_all_that_score_and_no_more() -> None:
    keypoints_K3 = np.array([[10, 20, 0.9], [50, 120, 0.5], [900, 900, 0.1]], dtype=np.float32)
    assert box_from_keypoints(keypoints_K3, 0.3) == Box(30, 70, 40, 100)


def test_a_person_seen_as_a_line_still_has_a_box() -> None:
    line = np.array([[50, 20, 0.9], [50, 220, 0.9]])
    assert box_from_keypoints(line) == Box(50, 120, 20, 200)


@pytest.mark.parametrize("keypoints", [[], [[5, 5, 0.9]], [[5, 5, 0.9], [5.2, 5.4, 0.9]], [[5, 5, 0.0], [90, 90, 0.0]]])
def test_too_few_keypoints_have_no_box(keypoints: list[list[float]]) -> None:
    assert box_from_keypoints(np.array(keypoints).reshape(-1, 3)) is None
