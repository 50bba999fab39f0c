"""The threads: frames dropped rather than queued, failures handed over, everything stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.edge.dots import DOTS_FP32, picture, squats, standing

from plumbline_contract.box import Box
from plumbline_contract.manifest import Manifest
from plumbline_contract.skeleton import NUM_KEYPOINTS, Keypoint
from plumbline_edge.bundle import open_bundle
from plumbline_edge.coach.cues import SENSITIVITIES, Sensitivity
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.coach.state import CoachState
from plumbline_edge.estimator import Pose, PoseEstimator
from plumbline_edge.frame import Frame
from plumbline_edge.meter import Meter
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.runtime import PoseModel
from plumbline_edge.session import Result, Session
from plumbline_edge.view import LivePicture, LiveView, TooManyViewers

WALK = 60.0
"""Pixels a second."""


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
        number, shown = view.pictures.wait_newer(0, 5.0)
        assert shown is not None
        assert shown.jpeg[:2] == b"\xff\xd8"
        # A network that keeps up: each picture carries the pose that was found in it.
        assert shown.frame == shown.pose_frame
        with view.viewer(), pytest.raises(TooManyViewers), view.viewer():
            raise AssertionError("a third viewer was let in")
    time.sleep(0.8)
    settled, _ = view.pictures.read()
    time.sleep(0.3)
    assert view.pictures.read()[0] == settled >= number
    pipeline.stop()
    assert metrics.registry.get_sample_value("plumbline_edge_viewers") == 0


def test_a_camera_that_gives_fewer_pictures_than_it_declares_is_shown_with_their_own_poses() -> None:
    camera = Camera(frames=100_000, interval_seconds=0.05)
    camera.frame_rate = 60.0
    pipeline, metrics = pipeline_of(camera)
    view = LiveView(pipeline, metrics, max_fps=50, jpeg_quality=80, max_viewers=2)
    pipeline.start()
    view.start()
    number, own = 0, 0
    with view.viewer():
        for _ in range(20):
            number, shown = view.pictures.wait_newer(number, 5.0)
            assert shown is not None
            own += shown.frame == shown.pose_frame
    pipeline.stop()
    # Some may be carried on where the tests' own machine is held up.
    assert own >= 15


class WalkingCamera(Camera):
    """Somebody walks to the right at WALK pixels a second."""

    def read(self) -> Frame | None:
        frame = super().read()
        if frame is None:
            return None
        seconds = self._index * self._interval_seconds
        return replace(frame, image_bgr_HW3=picture(standing(130 + WALK * seconds, 30, 300)), timestamp_seconds=seconds)


class ShownOverlays(LiveView):
    """Also notes how far from the true nose the latest pose is, and how far the one that is drawn."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shown: list[tuple[float, float]] = []

    def _picture(self, frame: Frame, result: Result, fps: float) -> LivePicture:
        later_by_seconds = frame.timestamp_seconds - result.frame.timestamp_seconds
        drawn_K3 = result.overlay(fps, later_by_seconds=later_by_seconds).keypoints_K3
        if drawn_K3 is not None:
            truth = 130 + WALK * frame.timestamp_seconds
            self.shown.append((float(result.pose.keypoints_K3[0, 0]) - truth, float(drawn_K3[0, 0]) - truth))
        return super()._picture(frame, result, fps)


def test_a_slow_network_shows_the_newest_picture_with_the_pose_carried_on() -> None:
    pipeline, metrics = pipeline_of(WalkingCamera(frames=80, interval_seconds=0.05), before=lambda: time.sleep(0.2))
    view = ShownOverlays(pipeline, metrics, max_fps=50, jpeg_quality=80, max_viewers=2)
    pipeline.start()
    view.start()
    with view.viewer():
        assert pipeline.finished.wait(20)
    pipeline.stop()
    behind, carried = (np.array(values) for values in zip(*view.shown[len(view.shown) // 2 :], strict=True))
    assert len(view.shown) > 1.5 * pipeline.session.frames
    # The pose found in an older picture is where the person was; carried on it is nearer to where they are.
    assert np.abs(carried).mean() < 0.6 * np.abs(behind).mean()


def test_the_ghost_is_carried_on_with_the_person() -> None:
    keypoints_K3 = standing(240, 30, 300)
    keypoints_K3[Keypoint.NOSE, 2] = 0.05
    ghost_K3 = keypoints_K3 + np.array([20.0, -5.0, 0.0])
    ghost_K3[Keypoint.NOSE] = 0.0
    velocities_K2 = np.linspace((-60.0, 90.0), (120.0, 10.0), NUM_KEYPOINTS)
    pose = Pose(keypoints_K3, seen=True, box=Box(240, 240, 480, 480), velocities_K2=velocities_K2)
    frame = Frame(np.zeros((480, 480, 3), np.uint8), 0.0, 0, 0.0)
    result = Result(frame, pose, CoachState(ghost_K3=ghost_K3), False, load_exercise("squat"))
    for later_by_seconds in (0.0, 0.1, 9.0):
        overlay = result.overlay(10.0, later_by_seconds=later_by_seconds)
        assert overlay.keypoints_K3 is not None
        assert overlay.ghost_K3 is not None
        to_ghost_K3 = overlay.ghost_K3 - overlay.keypoints_K3
        np.testing.assert_allclose(to_ghost_K3[1:], (ghost_K3 - keypoints_K3)[1:], atol=1e-3)
        np.testing.assert_array_equal(overlay.ghost_K3[Keypoint.NOSE], 0.0)


def test_no_pixel_comes_out_once_they_are_hidden() -> None:
    pipeline, metrics = pipeline_of(Camera(frames=100_000, interval_seconds=0.01))
    view = LiveView(pipeline, metrics, max_fps=50, jpeg_quality=80, max_viewers=2)
    pipeline.start()
    view.start()
    with view.viewer():
        number, shown = view.pictures.wait_newer(0, 10.0)
        assert shown is not None
        assert (shown.shows_pixels, view.may_be_sent(shown)) == (True, True)
        view.hide_pixels(True)
        assert not view.may_be_sent(shown)
        number, _ = view.pictures.read()
        for _ in range(5):
            number, shown = view.pictures.wait_newer(number, 10.0)
            assert shown is not None
            assert not shown.shows_pixels
        view.hide_pixels(False)
        assert view.may_be_sent(shown)
    pipeline.stop()


def test_readiness_waits_for_frames_through_the_model_in_use() -> None:
    pipeline, _ = pipeline_of(Camera(frames=300, interval_seconds=0.01))
    states = [pipeline.ready]
    pipeline.start()
    states.append(becomes_ready(pipeline))
    pipeline.session.estimator.replace_model(open_bundle(DOTS_FP32).load_model(1))
    pipeline.await_first_frame()
    states.append(pipeline.ready)
    states.append(becomes_ready(pipeline))
    pipeline.stop()
    assert states == [False, True, False, True]


def becomes_ready(pipeline: LivePipeline) -> bool:
    while not pipeline.ready:
        if pipeline.finished.wait(0.01):
            return False
    return True


@pytest.mark.parametrize(("sensitivity", "said"), [("low", []), ("normal", ["Go lower"])])
def test_the_next_exercise_is_coached_as_readily_as_the_one_before(sensitivity: Sensitivity, said: list[str]) -> None:
    """A squat that is too shallow is a minor fault."""
    metrics, heard = EdgeMetrics(), list[str]()
    estimator = PoseEstimator(SlowModel(lambda: None), metrics.observe_stage)
    coach = Coach(load_exercise("lunge"), cue_timing=SENSITIVITIES[sensitivity])
    session = Session(estimator, coach, metrics, Meter(), heard.append)
    session.choose(load_exercise("squat"))
    for index, keypoints_K3 in enumerate(squats(1, rate=30.0, depth=0.58, size=(240, 320))):
        session.process(Frame(picture(keypoints_K3, (240, 320)), index / 30, index, time.monotonic()))
    assert session.state.fault_counts["too_shallow"] == 1
    assert heard == said
