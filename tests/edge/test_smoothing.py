"""The one-euro filter: calm at rest, quick in motion, wary of low scores."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.decode import Keypoints
from plumbline_edge.smoothing import KeypointSmoother, OneEuroConfig

RATE = 30.0
BODY = 300.0


def smoothed(points_T2: npt.NDArray[np.float64], score: float = 0.9) -> npt.NDArray[np.float64]:
    smoother = KeypointSmoother()
    rows = []
    for index, point in enumerate(points_T2):
        keypoints: Keypoints = np.array([[*point, score]], dtype=np.float32)
        rows.append(smoother.smooth(keypoints, index / RATE, BODY)[0, :2])
    return np.array(rows, dtype=np.float64)


def test_jitter_at_rest_is_reduced_threefold() -> None:
    noise_T2 = np.random.default_rng(0).normal(0, 1.0, (600, 2))
    out_T2 = smoothed(noise_T2 + 100)
    assert float(out_T2[60:].std()) < float(noise_T2[60:].std()) / 1.8
    assert abs(float(out_T2[60:].mean()) - 100) < 0.2


def test_lag_in_a_fast_movement_is_under_40_ms() -> None:
    speed = 1.0 * BODY  # one body size a second, about a fast squat's hips
    ramp_T2 = np.repeat((np.arange(60) / RATE * speed)[:, None], 2, axis=1)
    behind_px = float((ramp_T2 - smoothed(ramp_T2))[30:, 0].mean())
    assert 0 < behind_px / speed < 0.040


def test_matches_the_published_filter_on_one_axis() -> None:
    config = OneEuroConfig()
    values = np.random.default_rng(2).normal(0, 5, 40).cumsum() + 200
    expected = [values[0]]
    speed = 0.0

    def alpha(cutoff: float) -> float:
        return 1 / (1 + RATE / (2 * math.pi * cutoff))

    for value in values[1:]:
        speed += alpha(config.speed_cutoff_hz) * ((value - expected[-1]) * RATE / BODY - speed)
        cutoff = config.min_cutoff_hz + config.beta_hz * abs(speed)
        expected.append(expected[-1] + alpha(cutoff) * (value - expected[-1]))
    points_T2 = np.stack([values, np.zeros_like(values)], axis=1)
    np.testing.assert_allclose(smoothed(points_T2)[:, 0], expected, rtol=1e-5)


def test_low_score_moves_its_point_less_and_zero_not_at_all() -> None:
    jump_T2 = np.array([[100.0, 100.0]] * 5 + [[130.0, 100.0]] * 2)
    sure, unsure, nothing = (smoothed(jump_T2, score)[-1, 0] - 100 for score in (0.9, 0.1, 0.0))
    assert sure > 3 * unsure > 0
    assert nothing == 0


@pytest.mark.parametrize("gap", [2.0, -1.0])
def test_gap_or_jump_back_in_time_starts_anew(gap: float) -> None:
    smoother = KeypointSmoother()
    first: Keypoints = np.array([[0, 0, 0.9]], dtype=np.float32)
    second: Keypoints = np.array([[50, 20, 0.9]], dtype=np.float32)
    smoother.smooth(first, 10.0, BODY)
    np.testing.assert_array_equal(smoother.smooth(second, 10.0 + gap, BODY), second)


def test_scores_pass_through() -> None:
    keypoints: Keypoints = np.array([[1, 2, 0.37], [3, 4, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(KeypointSmoother().smooth(keypoints, 0.0, BODY)[:, 2], keypoints[:, 2])


def test_a_hidden_joint_is_held_then_dropped_and_taken_up_again_where_it_is_seen() -> None:
    config = OneEuroConfig()
    smoother = KeypointSmoother(config)
    seen: Keypoints = np.array([[100.0, 100.0, 0.9]], dtype=np.float32)
    junk: Keypoints = np.array([[250.0, 20.0, 0.05]], dtype=np.float32)
    for index in range(10):
        smoother.smooth(seen, index / RATE, BODY)
    held = [smoother.smooth(junk, (10 + index) / RATE, BODY)[0] for index in range(30)]
    times = (np.arange(30) + 1) / RATE
    np.testing.assert_allclose([row[:2] for row in held], [[100, 100]] * 30, atol=1e-3)
    np.testing.assert_array_equal([row[2] == 0 for row in held], times > config.hold_seconds)
    elsewhere: Keypoints = np.array([[180.0, 90.0, 0.9]], dtype=np.float32)
    np.testing.assert_allclose(smoother.smooth(elsewhere, 40 / RATE, BODY)[0], [180, 90, 0.9], rtol=1e-6)


def test_velocity_is_that_of_a_steady_movement() -> None:
    smoother = KeypointSmoother()
    for index in range(90):
        keypoints: Keypoints = np.array([[100 + 120 * index / RATE, 50, 0.9]], dtype=np.float32)
        smoother.smooth(keypoints, index / RATE, BODY)
    np.testing.assert_allclose(smoother.velocities_K2, [[120, 0]], rtol=0.15, atol=1)
    smoother.reset()
    assert not smoother.velocities_K2.any()
