"""The renderer's geometry without the body model: cameras, rays, triangles, limbs, rooms and the clip's timing."""

import subprocess
import sys

import numpy as np
import pytest

from plumbline_training.render import room
from plumbline_training.render.camera import Camera, orbit
from plumbline_training.render.film import coarse, motion_blur
from plumbline_training.render.pose import between, frame, part_way, pitch, reach, roll, rotation, unit, yaw
from plumbline_training.render.raster import rasterise, vertex_normals
from plumbline_training.render.squats import DEPTHS_DEGREES, timeline

CAMERA = Camera((1.0, -4.0, 1.5), (0.1, 0.0, 0.9), 40.0, 120, 90, roll_degrees=7.0, shift=(0.02, -0.03))


def test_a_camera_puts_its_target_in_the_middle() -> None:
    camera = Camera((0.0, -3.0, 1.0), (0.0, 0.0, 1.0), 60.0, 101, 51)
    x, y, depth = camera.project(np.array([[0.0, 0.0, 1.0]], np.float32))[0]
    assert (x, y, depth) == pytest.approx((25.0, 50.0, 3.0), abs=1e-4)


def test_a_camera_sees_up_as_up_and_the_persons_left_on_its_right() -> None:
    camera = Camera((0.0, -3.0, 1.0), (0.0, 0.0, 1.0), 60.0, 100, 100)
    left_hand, head = camera.project(np.array([[0.5, 0.0, 1.0], [0.0, 0.0, 1.7]], np.float32))
    assert left_hand[0] > 60
    assert head[1] < 40


def test_rays_and_projection_are_inverse() -> None:
    points_HW3 = np.asarray(CAMERA.position, np.float32) + 2.5 * CAMERA.rays()
    pixels = CAMERA.project(points_HW3.reshape(-1, 3)).reshape(120, 90, 3)
    rows, columns = np.mgrid[:120, :90]
    np.testing.assert_allclose(pixels, np.stack([columns, rows, np.full_like(rows, 2.5, float)], axis=2), atol=1e-3)


def test_a_finer_camera_halves_every_pixel() -> None:
    point = np.array([[0.3, 0.1, 1.2]], np.float32)
    coarse, fine = CAMERA.project(point)[0], CAMERA.scaled(2).project(point)[0]
    np.testing.assert_allclose(fine[:2], 2 * coarse[:2] + 0.5, atol=1e-3)


def test_orbit_faces_the_person_and_walks_to_their_left() -> None:
    np.testing.assert_allclose(orbit(np.zeros(3), 2.0, 0, 0), (0, -2, 0), atol=1e-9)
    np.testing.assert_allclose(orbit(np.zeros(3), 2.0, 90, 0), (2, 0, 0), atol=1e-9)


def test_turns_go_where_their_names_say() -> None:
    up, ahead = np.array([0.0, 0.0, 1.0]), np.array([0.0, -1.0, 0.0])
    assert (pitch(30) @ up)[1] < -0.4
    assert (yaw(30) @ ahead)[0] > 0.4
    assert (roll(30) @ up)[0] > 0.4


def test_half_way_between_turns() -> None:
    np.testing.assert_allclose(part_way(pitch(10), pitch(50), 0.5), pitch(30), atol=1e-9)
    np.testing.assert_allclose(part_way(np.eye(3), rotation((1, 2, 3), 80), 1.0), rotation((1, 2, 3), 80), atol=1e-9)


def test_between_carries_one_direction_to_the_other() -> None:
    rng = np.random.default_rng(0)
    for first, second in rng.normal(size=(20, 2, 3)):
        np.testing.assert_allclose(between(unit(first), unit(second)) @ unit(first), unit(second), atol=1e-9)
    opposite = unit((0.2, -0.4, 0.9))
    np.testing.assert_allclose(between(opposite, -opposite) @ opposite, -opposite, atol=1e-9)


def test_frames_are_rotations() -> None:
    basis = frame(unit((0.1, 0.2, -1)), unit((1, 0.3, 0)))
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-9)
    assert np.linalg.det(basis) == pytest.approx(1)


def test_two_bones_reach_their_target_and_bend_towards_the_pole() -> None:
    start, target, pole = np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.05, 0.3]), np.array([0.0, -1.0, 0.0])
    upper, lower = reach(start, target, 0.42, 0.40, pole)
    knee = start + 0.42 * upper
    np.testing.assert_allclose(knee + 0.40 * lower, target, atol=1e-6)
    assert knee[1] < start[1] - 0.05


def test_a_target_out_of_reach_straightens_the_limb() -> None:
    upper, lower = reach(np.zeros(3), np.array([0.0, 0.0, -5.0]), 0.4, 0.4, np.array([0.0, -1.0, 0.0]))
    assert upper @ lower > 0.999


def test_the_nearer_triangle_hides_the_farther_one() -> None:
    near_and_far = np.array(
        [[0, 0, 2], [9, 0, 2], [0, 9, 2], [0, 0, 3], [9, 0, 3], [0, 9, 3], [5, 5, 0.01], [9, 9, 1], [5, 9, 1]],
        np.float32,
    )
    faces = np.array([[3, 4, 5], [0, 1, 2], [6, 7, 8]], np.int32)
    seen = rasterise(near_and_far, faces, 10, 10)
    assert seen.face_HW[2, 2] == 1
    assert seen.depth_HW[2, 2] == pytest.approx(2.0)
    assert seen.face_HW[8, 8] == -1, "a triangle that reaches behind the camera is dropped"


def test_interpolation_is_perspective_correct() -> None:
    depths = np.array([1.0, 4.0, 1.0], np.float32)
    corners = np.array([[0, 0, 1], [20, 0, 4], [0, 20, 1]], np.float32)
    seen = rasterise(corners, np.array([[0, 1, 2]], np.int32), 21, 21)
    blended = seen.interpolate(np.array([[0, 1, 2]], np.int32), depths[:, None])
    np.testing.assert_allclose(blended[:, 0], seen.depth_HW[seen.face_HW >= 0], rtol=1e-5)


def test_normals_of_a_box_point_outward() -> None:
    normals = vertex_normals(room.BOX_CORNERS, room.BOX_FACES)
    assert np.all(np.sum(normals[:, :2] * np.sign(room.BOX_CORNERS[:, :2]), axis=1) > 0.5)


def test_a_room_is_the_same_for_the_same_seed_and_has_its_floor_below() -> None:
    for seed in range(6):
        first = room.draw(room.sample_room(np.random.default_rng(seed)), CAMERA)
        again = room.draw(room.sample_room(np.random.default_rng(seed)), CAMERA)
        np.testing.assert_array_equal(first[0], again[0])
        assert np.isfinite(first[0]).all()
    plain = room.Room((-3, -5), (3, 3), 2.6, "tiles", ((0.5,) * 3, (0.4,) * 3), "bricks", ((0.7,) * 3, (0.6,) * 3), 1)
    _, floor, _ = room.draw(plain, Camera((0.0, -4.0, 1.5), (0.0, 0.0, 0.9), 40.0, 120, 90))
    assert floor[-1].all()
    assert not floor[0].any()


def test_the_clips_timing_has_five_repetitions_of_which_the_third_is_too_shallow() -> None:
    repetitions, shares = timeline(np.random.default_rng(0))
    assert [repetition.too_shallow for repetition in repetitions] == [False, False, True, False, False]
    for repetition, depth in zip(repetitions, DEPTHS_DEGREES, strict=True):
        assert shares[repetition.start_frame - 1][0] == 0.0
        assert shares[repetition.bottom_frame] == (1.0, depth)
        assert shares[repetition.end_frame][0] == pytest.approx(0.0)
    assert 12 <= len(shares) / 30 <= 15


def test_the_command_line_needs_neither_the_body_model_nor_the_compiler_to_be_imported() -> None:
    code = (
        "import sys, plumbline_training.render.cli; print([n for n in ('anny', 'numba', 'torch') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("number", range(12))
def test_what_a_camera_does_to_a_picture_leaves_everything_where_it_is(number: int) -> None:
    """The labels are those of the sharp picture."""
    rng = np.random.default_rng(number)
    rows_H1, columns_W = np.mgrid[0:240, 0:1].astype(np.float32), np.arange(320, dtype=np.float32)
    x, y = rng.uniform(60, 260), rng.uniform(60, 180)
    spot = np.exp(-((columns_W - x) ** 2 + (rows_H1[0] - y) ** 2) / (2 * 6.0**2))[..., None].astype(np.float32)
    for changed in (
        coarse(np.repeat(spot, 3, axis=2), float(rng.uniform(0.2, 0.8))),
        motion_blur(np.repeat(spot, 3, axis=2), int(rng.integers(3, 12)), float(rng.uniform(0, 180))),
    ):
        weight = changed[..., 0] / changed[..., 0].sum()
        found = (float((weight * columns_W).sum()), float((weight * rows_H1[0]).sum()))
        np.testing.assert_allclose(found, (x, y), atol=0.1)
