"""Windows over time."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_edge.coach.windows import MOST_SECONDS, RunningPercentile, TrimmedWindow


def test_a_wild_value_does_not_move_the_trimmed_mean() -> None:
    window = TrimmedWindow(1.0)
    for frame, value in enumerate([1.0, 1.0, 1.0, 900.0, 1.0, 1.0, 1.0, -900.0]):
        smoothed = window.push(frame / 30, value)
    assert smoothed == 1.0


def test_old_values_leave_the_window_even_when_nothing_new_comes() -> None:
    window = TrimmedWindow(0.5)
    assert window.value() is None
    window.push(0.0, 3.0)
    assert window.push(0.4, None) == 3.0
    assert window.push(0.6, None) is None


@pytest.mark.parametrize("interval_seconds", [0.4, 1.0, 1.2])
def test_at_a_low_rate_the_last_frames_are_kept(interval_seconds: float) -> None:
    window = TrimmedWindow(0.6, frames=3)
    for frame in range(9):
        window.push(frame * interval_seconds, float(frame))
    assert (len(window), window.value()) == (3, 7.0)
    assert window.push(8 * interval_seconds + MOST_SECONDS + 0.1, None) is None


def test_at_a_usual_rate_values_that_are_missing_make_no_window_longer() -> None:
    windows = TrimmedWindow(0.6), TrimmedWindow(0.6, frames=3)
    rng = np.random.default_rng(0)
    for frame in range(400):
        value = float(rng.normal()) if rng.random() < 0.3 else None
        one, other = (window.push(frame / 8, value) for window in windows)
        assert one == other


def test_the_percentile_is_that_of_numpy_within_a_rank() -> None:
    values = np.random.default_rng(0).normal(size=200)
    running = RunningPercentile(75, seconds=1e9)
    for frame, value in enumerate(values.tolist()):
        running.push(frame * 0.1, value)
    below = float((values <= (running.value() or 0.0)).mean())
    assert below == pytest.approx(0.75, abs=0.011)


def test_the_percentile_waits_for_enough_and_forgets_the_old() -> None:
    running = RunningPercentile(50, seconds=2.0, min_samples=3)
    running.push(0.0, 100.0)
    running.push(0.05, 100.0)
    running.push(0.1, 100.0)
    assert running.value() is None
    assert running.value(min_samples=1) == 100.0
    for frame in range(2, 60):
        running.push(frame * 0.1, 7.0)
    assert running.value() == 7.0
