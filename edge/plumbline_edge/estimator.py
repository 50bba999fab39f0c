"""From one picture to one person's keypoints: tracked crop, lifted where dark, network, decoding, smoothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.box import Box
from plumbline_contract.decode import Keypoints, decode
from plumbline_contract.preprocess import extract_crop, to_tensor
from plumbline_edge.exposure import lift_dark
from plumbline_edge.frame import Frame
from plumbline_edge.metrics import Stage
from plumbline_edge.runtime import PoseModel
from plumbline_edge.smoothing import KeypointSmoother
from plumbline_edge.tracker import Tracker, TrackerConfig

ObserveStage = Callable[[Stage, float], None]
CARRY_SECONDS: Final = 0.25
"""Keypoints are carried on for at most this long: a limb that moved for longer has probably turned back."""


@dataclass(frozen=True)
class Pose:
    """What was found in a picture: keypoints (K, 3) in its pixels, all zero when no person is seen."""

    keypoints_K3: Keypoints
    seen: bool
    box: Box
    velocities_K2: npt.NDArray[np.float64]
    """Pixels a second."""

    def carried(self, seconds: float) -> Keypoints:
        """Where the keypoints (K, 3) are this long after the picture, if each goes on at its velocity."""
        moved_K2 = self.keypoints_K3[:, :2] + self.velocities_K2 * min(max(seconds, 0.0), CARRY_SECONDS)
        return np.concatenate([moved_K2, self.keypoints_K3[:, 2:]], axis=1).astype(np.float32)


class PoseEstimator:
    """Follows one person through a row of pictures."""

    def __init__(self, model: PoseModel, observe_stage: ObserveStage, tracking: TrackerConfig | None = None) -> None:
        self._model = model
        self._observe_stage = observe_stage
        self._tracker = Tracker(tracking)
        self._smoother = KeypointSmoother()

    @property
    def tracking(self) -> bool:
        """Whether somebody is followed, as opposed to searched for."""
        return self._tracker.tracking

    def replace_model(self, model: PoseModel) -> None:
        """Use this model from the next picture on; any thread may ask for it."""
        self._model = model

    def estimate(self, frame: Frame) -> Pose:
        """The pose in the next picture; pictures come in the order of their timestamps."""
        height, width = frame.image_bgr_HW3.shape[:2]
        model, was_tracking = self._model, self._tracker.tracking
        boxes = [box.padded(model.manifest.input.box_padding) for box in self._tracker.regions(height, width)]
        spent = {"preprocess": 0.0, "inference": 0.0, "decode": 0.0}
        sightings = [self._look(model, frame, box, spent) for box in boxes]
        decoded_at = time.perf_counter()
        found_K3 = self._tracker.update(sightings, frame.timestamp_seconds, height, width)
        pose = self._smoothed(found_K3, was_tracking, frame, boxes[0])
        spent["decode"] += time.perf_counter() - decoded_at
        self._observe_stage("preprocess", spent["preprocess"])
        self._observe_stage("inference", spent["inference"])
        self._observe_stage("decode", spent["decode"])
        return pose

    def _look(self, model: PoseModel, frame: Frame, box: Box, spent: dict[str, float]) -> Keypoints:
        """Keypoints (K, 3) of whoever is in the box, in the picture's pixels."""
        spec, output = model.manifest.input, model.manifest.output
        started_at = time.perf_counter()
        crop_rgb_HW3, matrix_23 = extract_crop(frame.image_bgr_HW3, box, spec.height, spec.width)
        tensor_NHWC = to_tensor(lift_dark(crop_rgb_HW3)[None], spec)
        prepared_at = time.perf_counter()
        heatmaps_KHW = model.infer(tensor_NHWC)
        inferred_at = time.perf_counter()
        keypoints_K3 = decode(heatmaps_KHW, output.decode, output.stride, matrix_23, output.alignment)
        spent["preprocess"] += prepared_at - started_at
        spent["inference"] += inferred_at - prepared_at
        spent["decode"] += time.perf_counter() - inferred_at
        return keypoints_K3

    def _smoothed(self, found_K3: Keypoints | None, was_tracking: bool, frame: Frame, box: Box) -> Pose:
        count = len(self._model.manifest.output.keypoints)
        if not was_tracking:
            # A searched region is seen coarsely: the first sharp look after it must not be drawn towards it.
            self._smoother.reset()
        if found_K3 is None:
            return Pose(np.zeros((count, 3), np.float32), seen=False, box=box, velocities_K2=np.zeros((count, 2)))
        if not was_tracking:
            return Pose(found_K3, seen=True, box=box, velocities_K2=np.zeros((count, 2)))
        person = self._tracker.regions(*frame.image_bgr_HW3.shape[:2])[0]
        smooth_K3 = self._smoother.smooth(found_K3, frame.timestamp_seconds, max(person.height, person.width))
        return Pose(smooth_K3, seen=True, box=box, velocities_K2=self._smoother.velocities_K2)
