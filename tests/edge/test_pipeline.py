"""The threads: frames dropped rather than queued, failures handed over, everything stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.edge.dots import DOTS_FP32, picture, standing

from plumbline_contract.manifest import Manifest
from plumbline_edge.bundle import open_bundle
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.meter import Meter
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.runtime import PoseModel
from plumbline_edge.session import Session
from plumbline_edge.source import Frame
from plumbline_edge.view import LiveView, TooManyViewers


class Camera:
    """A source of `frames` pictures, one every `interval_seconds`."""

    def __init__(self, frames: int, interval_seconds: float) -> None:
        self.name, self.live, self.frame_rate = "test camera", True, 1 / interval_seconds
        self.closed = False
        self._remaining = frames
        self._interval_seconds = interval_seconds
        self._index = 0

    def read(self) -> Frame | None:
        if self._remaining == 0:
            return None
        self._remaining -= 1
        time.sleep(self._interval_seconds)
        self._index += 1
        now = time.monotonic()
        return Frame(picture(standing(240, 30, 300)), now, self._index - 1, now)

    def close(self) -> None:
        self.closed = True


class SlowModel:
    """The dots network, with this done before each inference."""

    def __init__(self, before: Callable[[], None]) -> None:
        self._model: PoseModel = open_bundle(DOTS_FP32).load_model(1)
        self._before = before

    @property
    def manifest(self) -> Manifest:
        return self._model.manifest

    def infer(self, tensor_NHWC: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        self._before()
        return self._model.infer(tensor_NHWC)


def pipeline_of(camera: Camera, before: Callable[[], None] = lambda: None) -> tuple[LivePipeline, EdgeMetrics]:
    metrics = EdgeMetrics()
    estimator = PoseEstimator(SlowModel(before), metrics.observe_stage)
    session = Session(estimator, Coach(load_exercise("squat")), metrics, Meter(5.0))
    return LivePipeline(camera, session, metrics, threading.Event()), metrics


def test_slow_model_drops_frames_and_sees_the_newest() -> None:
    camera = Camera(frames=40, interval_seconds=0.01)
    pipeline, metrics = pipeline_of(camera, before=lambda: time.sleep(0.05))
    pipeline.start()
    assert pipeline.finished.wait(10)
    pipeline.stop()
    frames, dropped = pipeline.session.frames, pipeline.frames_dropped
    assert frames + dropped == 40
    assert dropped > frames
    assert metrics.registry.get_sample_value("plumbline_edge_frames_dropped_total") == dropped
    assert metrics.registry.get_sample_value("plumbline_edge_frames_total") == frames
    number, last = pipeline.results.read()
    assert number == frames
    assert last is not None
    assert last.frame.index == 39
    # A queued frame would be older than two inferences.
    assert pipeline.session.meter.p95_latency_seconds() < 0.5
    assert camera.closed


def test_every_stage_of_every_frame_is_timed() -> None:
    pipeline, metrics = pipeline_of(Camera(frames=5, interval_seconds=0.02))
    pipeline.start()
    assert pipeline.finished.wait(10)
    pipeline.stop()
    counts = {
        stage: metrics.registry.get_sample_value("plumbline_edge_stage_latency_seconds_count", {"stage": stage})
        for stage in ("capture", "preprocess", "inference", "decode", "coach", "draw", "encode")
    }
    frames = pipeline.session.frames
    assert frames >= 1
    assert counts == {
        "capture": 5, "preprocess": frames, "inference": frames, "decode": frames, "coach": frames,
        "draw": None, "encode": None,
    }  # fmt: skip


def test_failure_in_a_thread_ends_the_pipeline_and_is_kept() -> None:
    def fail() -> None:
        raise RuntimeError("the accelerator fell over")

    pipeline, _ = pipeline_of(Camera(frames=1000, interval_seconds=0.005), before=fail)
    pipeline.start()
    assert pipeline.finished.wait(10)
    pipeline.stop()
    assert str(pipeline.failure) == "the accelerator fell over"


def test_stop_ends_both_threads_promptly() -> None:
    camera = Camera(frames=100_000, interval_seconds=0.01)
    pipeline, _ = pipeline_of(camera)
    threads_before = threading.active_count()
    pipeline.start()
    time.sleep(0.1)
    started_at = time.monotonic()
    pipeline.stop()
    assert time.monotonic() - started_at < 2
    assert threading.active_count() <= threads_before
    assert camera.closed


def test_pictures_are_encoded_only_while_somebody_looks() -> None:
    pipeline, metrics = pipeline_of(Camera(frames=100_000, interval_seconds=0.01))
    view = LiveView(pipeline, metrics, max_fps=50, jpeg_quality=80, max_viewers=2)
    pipeline.start()
    view.start()
    time.sleep(0.3)
    assert view.pictures.read() == (0, None)
    with view.viewer():
        number, picture_jpeg = view.pictures.wait_newer(0, 5.0)
        assert picture_jpeg is not None
        assert picture_jpeg[:2] == b"\xff\xd8"
        with view.viewer(), pytest.raises(TooManyViewers), view.viewer():
            raise AssertionError("a third viewer was let in")
    time.sleep(0.2)
    settled, _ = view.pictures.read()
    time.sleep(0.2)
    assert view.pictures.read()[0] == settled >= number
    pipeline.stop()
    assert metrics.registry.get_sample_value("plumbline_edge_viewers") == 0
