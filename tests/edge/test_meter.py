"""FPS and p95 over a window and over everything."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from plumbline_edge.meter import Meter


def test_fps_and_p95_over_everything() -> None:
    meter = Meter()
    for index in range(101):
        meter.record(10 + index / 20, latency_seconds=index / 1000)
    assert meter.fps(1000.0) == pytest.approx(20.0)
    assert meter.p95_latency_seconds() == pytest.approx(0.095)


def test_window_forgets_so_a_standstill_shows() -> None:
    meter = Meter(window_seconds=5.0)
    for index in range(200):
        meter.record(index / 10, latency_seconds=1.0 if index < 100 else 0.01)
    assert meter.fps(19.9) == pytest.approx(10.0)
    assert meter.p95_latency_seconds() == pytest.approx(0.01)
    assert meter.fps(30.0) == 0.0
    assert meter.p95_latency_seconds() == 0.0


def meter_of(intervals_seconds: Sequence[float]) -> tuple[Meter, float]:
    """A meter of frames with these times between them, and the time of the last."""
    meter, now = Meter(window_seconds=5.0), 100.0
    meter.record(now, 0.1)
    for interval_seconds in intervals_seconds:
        now += interval_seconds
        meter.record(now, 0.1)
    return meter, now


@pytest.mark.parametrize(
    ("intervals_seconds", "is_slower"),
    [
        ([0.3] * 20, True),
        ([1.0] * 10, True),
        ([2.0] * 3, True),
        ([0.2] * 30, False),
        ([0.5], False),  # the first frames of a model that warms up
        ([1 / 30] * 200 + [4.8] + [1 / 30] * 6, False),  # a camera that was away
    ],
)
def test_a_low_rate_is_told_once_it_lasts(intervals_seconds: Sequence[float], is_slower: bool) -> None:
    meter, now = meter_of(intervals_seconds)
    assert meter.is_slower_than(4.0, now) is is_slower
    assert not meter.is_slower_than(4.0, now + 10)


def test_what_is_not_played_in_its_own_time_is_never_slow() -> None:
    meter = Meter()
    for second in range(20):
        meter.record(second, 0.1)
    assert not meter.is_slower_than(4.0, 20.0)
