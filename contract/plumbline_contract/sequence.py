"""How a sequence of keypoints is made comparable between persons, cameras and frame rates.

Axes: T frames, K keypoints, 3 = x, y, score. Normalised: the origin is the middle of the hips in every frame, the unit
is the person's torso length, frames come at a fixed rate. x to the right and y down, as in the picture. A keypoint that
is not known has score 0 and lies at the origin, so no number is ever missing or infinite.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.errors import InvalidSequence
from plumbline_contract.skeleton import NUM_KEYPOINTS, Keypoint

Array = npt.NDArray[np.floating]

SEEN_SCORE: Final[float] = 0.2
"""A keypoint below this score counts as not seen."""
MAX_GAP_SECONDS: Final[float] = 0.5
"""A keypoint is interpolated over at most this long a gap."""
MAX_FRAMES: Final[int] = 1_000_000
"""A longer resampled sequence is refused: its timestamps are most likely not in seconds."""
TORSO_PERCENTILE: Final[float] = 75.0
"""Leaning towards the camera only shortens a torso, so its length is taken from the upper part of what was seen."""

SHOULDERS: Final = (Keypoint.LEFT_SHOULDER, Keypoint.RIGHT_SHOULDER)
HIPS: Final = (Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP)


def is_seen(keypoints_TK3: Array, min_score: float = SEEN_SCORE) -> npt.NDArray[np.bool_]:
    """Which keypoints (..., K) are finite and scored at least `min_score`."""
    finite_TK = np.isfinite(keypoints_TK3).all(axis=-1)
    return np.asarray(finite_TK & (keypoints_TK3[..., 2] >= min_score))


def midpoint(keypoints_TK3: Array, pair: tuple[int, int], min_score: float = SEEN_SCORE) -> npt.NDArray[np.float64]:
    """The middle (..., 2) of two keypoints, the seen one when only one is seen, NaN when neither is."""
    pair_T23 = keypoints_TK3[..., list(pair), :].astype(np.float64)
    seen_T2 = is_seen(pair_T23, min_score)
    total_T2 = np.where(seen_T2[..., None], pair_T23[..., :2], 0.0).sum(axis=-2)
    count_T = seen_T2.sum(axis=-1)
    return np.asarray(np.where(count_T[..., None] > 0, total_T2 / np.maximum(count_T, 1)[..., None], np.nan))


def torso_length(keypoints_TK3: Array, min_score: float = SEEN_SCORE) -> npt.NDArray[np.float64]:
    """The distance (...) in pixels from the middle of the hips to the middle of the shoulders; NaN when unseen."""
    torso_T2 = midpoint(keypoints_TK3, SHOULDERS, min_score) - midpoint(keypoints_TK3, HIPS, min_score)
    return np.asarray(np.hypot(torso_T2[..., 0], torso_T2[..., 1]))


def resample(
    keypoints_TK3: Array,
    timestamps_seconds_T: Array,
    rate_hz: float,
    min_score: float = SEEN_SCORE,
    max_gap_seconds: float = MAX_GAP_SECONDS,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Keypoints at a fixed rate, each interpolated linearly between the frames in which it was seen.

    Returns keypoints (t, K, 3) and timestamps (t,), beginning at the first timestamp. Where a keypoint is not seen for
    longer than `max_gap_seconds`, or before its first and after its last sight, it is zero with score 0.
    Raises InvalidSequence for shapes that do not fit, timestamps that do not rise and a rate that is not positive.
    """
    _check(keypoints_TK3, timestamps_seconds_T, rate_hz)
    times_T = timestamps_seconds_T.astype(np.float64)
    frames = int(np.floor((times_T[-1] - times_T[0]) * rate_hz + 1e-6)) + 1
    out_times_t = times_T[0] + np.arange(frames) / rate_hz
    seen_TK = is_seen(keypoints_TK3, min_score)
    out_tK3 = np.zeros((frames, keypoints_TK3.shape[1], 3))
    for keypoint in range(keypoints_TK3.shape[1]):
        seen_T = seen_TK[:, keypoint]
        if not seen_T.any():
            continue
        known_times, known = times_T[seen_T], keypoints_TK3[seen_T, keypoint].astype(np.float64)
        values_t3 = np.stack([np.interp(out_times_t, known_times, known[:, axis]) for axis in range(3)], axis=-1)
        covered_t = _within_gaps(out_times_t, known_times, max_gap_seconds)
        out_tK3[:, keypoint] = np.where(covered_t[:, None], values_t3, 0.0)
    return out_tK3, out_times_t


def _within_gaps(times_t: Array, known_times: Array, max_gap_seconds: float) -> npt.NDArray[np.bool_]:
    """Whether each time lies on a known one, or between two that are at most the gap apart."""
    tolerance = 1e-6
    after = np.searchsorted(known_times, times_t - tolerance)
    before = np.searchsorted(known_times, times_t + tolerance, side="right") - 1
    inside = (before >= 0) & (after < len(known_times))
    gap = known_times[np.minimum(after, len(known_times) - 1)] - known_times[np.maximum(before, 0)]
    return np.asarray(inside & (gap <= max_gap_seconds + tolerance))


def normalise(
    keypoints_TK3: Array, timestamps_seconds_T: Array, rate_hz: float = 25.0, min_score: float = SEEN_SCORE
) -> npt.NDArray[np.float64]:
    """Keypoints (T, 17, 3) in pixels as (t, 17, 3): origin mid-hip, unit torso length, at `rate_hz`.

    A frame without a hip is unknown as a whole. Raises InvalidSequence as `resample` does, and when no torso was seen.
    """
    if keypoints_TK3.ndim != 3 or keypoints_TK3.shape[1] != NUM_KEYPOINTS:
        raise InvalidSequence(f"keypoints have shape {keypoints_TK3.shape!r}; expected (frames, {NUM_KEYPOINTS}, 3)")
    resampled_tK3, _ = resample(keypoints_TK3, timestamps_seconds_T, rate_hz, min_score)
    lengths_t = torso_length(resampled_tK3, min_score)
    if not (np.isfinite(lengths_t) & (lengths_t > 0)).any():
        raise InvalidSequence("no frame shows a shoulder and a hip, so the torso has no length to measure by")
    unit = float(np.nanpercentile(lengths_t[lengths_t != 0], TORSO_PERCENTILE))
    origin_t2 = midpoint(resampled_tK3, HIPS, min_score)
    hips_seen_t1 = np.asarray(np.isfinite(origin_t2).all(axis=-1, keepdims=True))
    seen_tK = is_seen(resampled_tK3, min_score) & hips_seen_t1
    points_tK2 = (resampled_tK3[..., :2] - origin_t2[:, None]) / unit
    normalised_tK3 = np.concatenate([points_tK2, resampled_tK3[..., 2:]], axis=-1)
    return np.where(seen_tK[..., None], normalised_tK3, 0.0)


def _check(keypoints_TK3: Array, timestamps_seconds_T: Array, rate_hz: float) -> None:
    if keypoints_TK3.ndim != 3 or keypoints_TK3.shape[2] != 3 or len(keypoints_TK3) == 0:
        raise InvalidSequence(f"keypoints have shape {keypoints_TK3.shape!r}; expected (frames, keypoints, 3)")
    if timestamps_seconds_T.shape != (len(keypoints_TK3),):
        raise InvalidSequence(
            f"timestamps have shape {timestamps_seconds_T.shape!r}; expected {(len(keypoints_TK3),)!r}, one a frame"
        )
    if not np.isfinite(timestamps_seconds_T).all() or (np.diff(timestamps_seconds_T) <= 0).any():
        raise InvalidSequence("timestamps must be finite and rise from frame to frame")
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise InvalidSequence(f"rate_hz is {rate_hz!r}; it must be a positive number")
    span_seconds = float(timestamps_seconds_T[-1] - timestamps_seconds_T[0])
    if span_seconds * rate_hz > MAX_FRAMES:
        raise InvalidSequence(f"the sequence spans {span_seconds!r} seconds; are its timestamps in seconds?")
