"""From one picture to one person's keypoints: tracked crop, network, decoding, smoothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plumbline_contract.box import Box
from plumbline_contract.decode import Keypoints, decode
from plumbline_contract.preprocess import extract_crop, to_tensor
from plumbline_edge.metrics import Stage
from plumbline_edge.runtime import PoseModel
from plumbline_edge.smoothing import KeypointSmoother
from plumbline_edge.source import Frame
from plumbline_edge.tracker import Tracker

ObserveStage = Callable[[Stage, float], None]


@dataclass(frozen=True)
class Pose:
    """What was found in a picture: keypoints (K, 3) in its pixels, all zero when no person is seen."""

    keypoints_K3: Keypoints
    seen: bool
    box: Box


class PoseEstimator:
    """Follows one person through a row of pictures."""

    def __init__(self, model: PoseModel, observe_stage: ObserveStage) -> None:
        self._model = model
        self._observe_stage = observe_stage
        self._tracker = Tracker()
        self._smoother = KeypointSmoother()

    def estimate(self, frame: Frame) -> Pose:
        """The pose in the next picture; pictures come in the order of their timestamps."""
        spec, output = self._model.manifest.input, self._model.manifest.output
        height, width = frame.image_bgr_HW3.shape[:2]
        started_at = time.perf_counter()
        box = self._tracker.next_box(height, width).padded(spec.box_padding)
        crop_rgb_HW3, matrix_23 = extract_crop(frame.image_bgr_HW3, box, spec.height, spec.width)
        tensor_NHWC = to_tensor(crop_rgb_HW3[None], spec)
        prepared_at = time.perf_counter()
        heatmaps_KHW = self._model.infer(tensor_NHWC)
        inferred_at = time.perf_counter()
        raw_K3 = decode(heatmaps_KHW, output.decode, output.stride, matrix_23, output.alignment)
        pose = self._follow(raw_K3, frame.timestamp_seconds, box, height, width)
        self._observe_stage("preprocess", prepared_at - started_at)
        self._observe_stage("inference", inferred_at - prepared_at)
        self._observe_stage("decode", time.perf_counter() - inferred_at)
        return pose

    def _follow(self, raw_K3: Keypoints, timestamp_seconds: float, box: Box, height: int, width: int) -> Pose:
        was_tracking = self._tracker.tracking
        seen = self._tracker.update(raw_K3, timestamp_seconds, height, width)
        if not was_tracking:
            # A searched region is seen coarsely: the first sharp look after it must not be drawn towards it.
            self._smoother.reset()
        if not seen:
            return Pose(np.zeros_like(raw_K3), seen=False, box=box)
        if not was_tracking:
            return Pose(raw_K3, seen=True, box=box)
        person = self._tracker.next_box(height, width)
        body_size = max(person.height, person.width)
        return Pose(self._smoother.smooth(raw_K3, timestamp_seconds, body_size), seen=True, box=box)
