"""The line that tells how it goes, and its warning of a rate that is too low."""

from __future__ import annotations

import sys
import time

import pytest
from tests.edge.dots import DOTS_FP32

from plumbline_edge.bundle import open_bundle
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.meter import Meter
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.session import Session
from plumbline_edge.status import StatusLine, status_fields, status_text


def session_at(fps: float, exercise: str = "squat") -> Session:
    """A session through which frames have come at this rate, up to now."""
    metrics = EdgeMetrics()
    estimator = PoseEstimator(open_bundle(DOTS_FP32).load_model(1), metrics.observe_stage)
    session = Session(estimator, Coach(load_exercise(exercise)), metrics, Meter(5.0))
    now = time.monotonic()
    for frame in range(round(5 * fps)):
        session.meter.record(now - 5 + frame / fps, 0.1)
    return session


@pytest.mark.parametrize(
    ("fps", "exercise", "is_told"), [(2.5, "squat", True), (10.0, "squat", False), (2.5, "sitting", False)]
)
def test_too_few_frames_for_repetitions_are_told_once_and_shown_on(
    fps: float, exercise: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = list[str]()
    monkeypatch.setattr("plumbline_edge.status.warn", warnings.append)
    monkeypatch.setattr("plumbline_edge.status.INTERVAL_SECONDS", 0.0)
    session = session_at(fps, exercise)
    line = StatusLine(sys.stdout)
    for _ in range(3):
        line.show(session)
    assert [warning.partition(":")[0] for warning in warnings] == (
        ["2.5 frames a second are too few to count and judge repetitions by"] if is_told else []
    )
    assert ("2.5 FPS (too few: 4 needed)   p95" in status_text(session, time.monotonic(), True)) is is_told


def test_nobody_is_seen_once_no_picture_comes() -> None:
    session, now = session_at(10.0), time.monotonic()
    assert status_text(session, now, True).endswith("squat reps 0   no person in the picture")
    session.person_seen = True
    assert status_text(session, now, False).endswith("squat reps 0   no picture")
    assert [status_fields(session, now, up)["person_visible"] for up in (True, False)] == [True, False]
