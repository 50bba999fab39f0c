"""Teachers: any model that finds keypoints tells a student where they are, on labelled and unlabelled pictures.

Axes: B batch, K keypoints, H and W heatmap rows and columns.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plumbline_contract.box import Box
from plumbline_contract.decode import DECODERS, heatmap_to_input
from plumbline_training.config import RunConfig, Stage
from plumbline_training.models import load_predictor
from plumbline_training.predictors import HeatmapPredictor, Predictor
from plumbline_training.targets import gaussian_targets
from plumbline_training.tasks import STRIDE, Taught


@dataclass(frozen=True)
class HeatmapTeacher:
    """A heatmap net at its own input size: the student learns its maps.

    Where teacher and student lay heatmaps differently over the crop, or the teacher's are logits, the student learns
    Gaussians around the teacher's keypoints.
    """

    predictor: HeatmapPredictor

    def __call__(self, crops_BHW3: Tensor, config: RunConfig, stage: Stage) -> Taught:
        own = self.predictor
        pictures = crops_BHW3.permute(0, 3, 1, 2).float()
        resized = functional.interpolate(pictures, (own.height, own.width), mode="bilinear", antialias=True)
        crops = resized.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
        heatmaps_BKHW = own.model(crops)
        keypoints_BK3 = DECODERS[own.decode](heatmaps_BKHW)
        points_BK2 = heatmap_to_input(keypoints_BK3[..., :2], own.stride, own.alignment)
        scale = np.array([stage.width / own.width, stage.height / own.height])
        keypoints_BK3 = np.concatenate([(points_BK2 + 0.5) * scale - 0.5, keypoints_BK3[..., 2:]], axis=-1)
        taught = _around(torch.from_numpy(keypoints_BK3).float().to(crops_BHW3.device), config, stage)
        if own.alignment != config.alignment or own.alignment == "corner" or own.decode == "soft_argmax":
            return taught
        maps = torch.from_numpy(np.ascontiguousarray(heatmaps_BKHW)).float().to(crops_BHW3.device)
        size = (int(stage.height / STRIDE), int(stage.width / STRIDE))
        if maps.shape[2:] != size:
            maps = functional.interpolate(maps, size, mode="bilinear", antialias=True)
        return taught._replace(heatmaps_BKHW=maps.clamp(0, 1))


@dataclass(frozen=True)
class KeypointTeacher:
    """A model that gives keypoints alone, such as MoveNet: the student learns Gaussians around them."""

    predictor: Predictor

    def __call__(self, crops_BHW3: Tensor, config: RunConfig, stage: Stage) -> Taught:
        _, height, width, _ = crops_BHW3.shape
        whole = Box((width - 1) / 2, (height - 1) / 2, width, height)
        found = [self.predictor(crop[..., ::-1].copy(), [whole])[0] for crop in crops_BHW3.cpu().numpy()]
        return _around(torch.from_numpy(np.stack(found)).float().to(crops_BHW3.device), config, stage)


def _around(keypoints_BK3: Tensor, config: RunConfig, stage: Stage) -> Taught:
    """Gaussians around keypoints in crop pixels."""
    scores_BK = keypoints_BK3[..., 2].clamp(0, 1)
    known_BK3 = torch.cat([keypoints_BK3[..., :2], torch.ones_like(keypoints_BK3[..., 2:])], dim=-1)
    height, width = int(stage.height / STRIDE), int(stage.width / STRIDE)
    drawn = gaussian_targets(known_BK3, height, width, STRIDE, stage.target_size, config.alignment)
    return Taught(drawn.heatmaps_BKHW, drawn.points_BK2, scores_BK * drawn.inside_BK)


def teacher_of(predictor: Predictor) -> HeatmapTeacher | KeypointTeacher:
    """By what the predictor gives."""
    return HeatmapTeacher(predictor) if isinstance(predictor, HeatmapPredictor) else KeypointTeacher(predictor)


def load_teacher(path: Path) -> tuple[HeatmapTeacher | KeypointTeacher, str]:
    """A checkpoint .pt, an .onnx, a bundle folder or a peer's .tflite, with its digest.

    Raises InvalidCheckpoint or UnsupportedModel for anything else.
    """
    file = path / "model.tflite" if path.is_dir() else path
    return teacher_of(load_predictor(path)), hashlib.sha256(file.read_bytes()).hexdigest()
