"""FPS and p95 over a window and over everything."""

from __future__ import annotations

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
