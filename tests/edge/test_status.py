"""The line that tells how it goes."""

from __future__ import annotations

import time

from tests.edge.dots import DOTS_FP32

from plumbline_edge.bundle import open_bundle
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.meter import Meter
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.session import Session
from plumbline_edge.status import status_fields, status_text


def session_at(fps: float) -> Session:
    """A session through which frames have come at this rate, up to now."""
    metrics = EdgeMetrics()
    estimator = PoseEstimator(open_bundle(DOTS_FP32).load_model(1), metrics.observe_stage)
    session = Session(estimator, Coach(load_exercise("squat")), metrics, Meter(5.0))
    now = time.monotonic()
    for frame in range(round(5 * fps)):
        session.meter.record(now - 5 + frame / fps, 0.1)
    return session


def test_nobody_is_seen_once_no_picture_comes() -> None:
    session, now = session_at(10.0), time.monotonic()
    assert status_text(session, now, True).endswith("squat reps 0   no person in the picture")
    session.person_seen = True
    assert status_text(session, now, False).endswith("squat reps 0   no picture")
    assert [status_fields(session, now, up)["person_visible"] for up in (True, False)] == [True, False]
