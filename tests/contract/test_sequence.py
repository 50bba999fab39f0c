"""Normalised sequences do not know where, how big and how often a person was filmed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.errors import InvalidSequence
from plumbline_contract.sequence import is_seen, midpoint, normalise, resample, torso_length
from plumbline_contract.skeleton import Keypoint

HIPS = (Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP)


def wave(rate_hz: float = 30.0, seconds: float = 2.0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """A person whose parts move smoothly, in pixels."""
    times_T = np.arange(int(seconds * rate_hz) + 1) / rate_hz
    base_K2 = np.random.default_rng(0).uniform(100, 300, (17, 2))
    sway_TK = 12 * np.sin(times_T[:, None] * 2 + np.arange(17))
    points_TK2 = base_K2 + np.stack([sway_TK, 0.5 * sway_TK], axis=-1)
    return np.concatenate([points_TK2, np.full((len(times_T), 17, 1), 0.8)], axis=-1), times_T


def test_normalised_hips_are_the_origin_and_the_torso_the_unit() -> None:
    normalised_tK3 = normalise(*wave(), rate_hz=25)
    np.testing.assert_allclose(midpoint(normalised_tK3, HIPS), 0, atol=1e-9)
    assert np.percentile(torso_length(normalised_tK3), 75) == pytest.approx(1.0, abs=0.01)
    assert normalised_tK3.shape == (51, 17, 3)


def test_place_and_size_do_not_matter() -> None:
    keypoints_TK3, times_T = wave()
    moved_TK3 = keypoints_TK3.copy()
    moved_TK3[..., :2] = moved_TK3[..., :2] * 3.7 + np.array([-4000.0, 77.0])
    np.testing.assert_allclose(normalise(moved_TK3, times_T), normalise(keypoints_TK3, times_T), atol=1e-9)


@pytest.mark.parametrize("rate_hz", [15.0, 24.0, 60.0])
def test_the_frame_rate_hardly_matters(rate_hz: float) -> None:
    reference_tK3 = normalise(*wave(240.0))
    np.testing.assert_allclose(normalise(*wave(rate_hz)), reference_tK3, atol=0.004)


def test_resampling_at_the_same_rate_changes_nothing() -> None:
    keypoints_TK3, times_T = wave()
    resampled_tK3, resampled_times_t = resample(keypoints_TK3, times_T, 30.0)
    np.testing.assert_allclose(resampled_tK3, keypoints_TK3, atol=1e-6)
    np.testing.assert_allclose(resampled_times_t, times_T, atol=1e-9)


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    keypoints_TK3, times_T = wave()
    expected_TK3 = keypoints_TK3.copy()
    keypoints_TK3[10:16, Keypoint.NOSE] = np.nan
    keypoints_TK3[10:40, Keypoint.LEFT_WRIST, 2] = 0.05
    resampled_tK3, _ = resample(keypoints_TK3, times_T, 30.0)
    np.testing.assert_allclose(resampled_tK3[:, Keypoint.NOSE, :2], expected_TK3[:, Keypoint.NOSE, :2], atol=0.5)
    np.testing.assert_array_equal(resampled_tK3[10:40, Keypoint.LEFT_WRIST], 0)
    assert (resampled_tK3[[9, 40], Keypoint.LEFT_WRIST, 2] > 0.7).all()


def test_nothing_is_invented_before_the_first_and_after_the_last_sight() -> None:
    keypoints_TK3, times_T = wave()
    keypoints_TK3[:5, Keypoint.NOSE, 2] = keypoints_TK3[-5:, Keypoint.NOSE, 2] = 0
    seen_t = normalise(keypoints_TK3, times_T, rate_hz=30)[:, Keypoint.NOSE, 2] > 0
    assert seen_t.tolist() == [False] * 5 + [True] * (len(times_T) - 10) + [False] * 5


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_in_every_number_that_comes_out_is_finite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keypoints_TK3, times_T = wave()
    keypoints_TK3[rng.random(keypoints_TK3.shape) < 0.2] = rng.choice([np.nan, np.inf, -np.inf])
    keypoints_TK3[rng.random(keypoints_TK3.shape[:2]) < 0.3, 2] = 0
    normalised_tK3 = normalise(keypoints_TK3, times_T)
    assert np.isfinite(normalised_tK3).all()
    unseen_tK = ~is_seen(normalised_tK3)
    np.testing.assert_array_equal(normalised_tK3[unseen_tK], 0)


def test_one_frame_is_a_sequence() -> None:
    keypoints_TK3, times_T = wave()
    assert normalise(keypoints_TK3[:1], times_T[:1]).shape == (1, 17, 3)


def test_a_midpoint_is_of_those_that_are_seen() -> None:
    keypoints_K3 = np.zeros((17, 3))
    assert np.isnan(midpoint(keypoints_K3, HIPS)).all()
    keypoints_K3[Keypoint.LEFT_HIP] = (10, 20, 0.9)
    np.testing.assert_array_equal(midpoint(keypoints_K3, HIPS), (10, 20))
    keypoints_K3[Keypoint.RIGHT_HIP] = (30, 40, 0.3)
    np.testing.assert_array_equal(midpoint(keypoints_K3, HIPS), (20, 30))


def test_what_is_no_sequence_is_refused() -> None:
    keypoints_TK3, times_T = wave()
    unseen_TK3 = keypoints_TK3 * np.array([1, 1, 0])
    refused: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float, str]] = [
        (keypoints_TK3[0], times_T, 25, "shape"),
        (keypoints_TK3[:, :16], times_T, 25, "shape"),
        (keypoints_TK3[:0], times_T[:0], 25, "shape"),
        (keypoints_TK3, times_T[:-1], 25, "timestamps have shape"),
        (keypoints_TK3, times_T[::-1], 25, "rise"),
        (keypoints_TK3, np.where(times_T == 0, np.nan, times_T), 25, "finite"),
        (keypoints_TK3, times_T, 0, "rate_hz is 0"),
        (keypoints_TK3, times_T * 1e9, 25, "in seconds"),
        (unseen_TK3, times_T, 25, "no frame shows"),
    ]
    for keypoints, times, rate_hz, message in refused:
        with pytest.raises(InvalidSequence, match=message):
            normalise(keypoints, times, rate_hz)
