"""What a kind of network is trained on, by which loss, and how it is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from plumbline_contract.manifest import InputSpec
from plumbline_training.architectures import supervised
from plumbline_training.config import RunConfig, Stage
from plumbline_training.crops import ImageStore, Sample, TrainingCrops
from plumbline_training.datasets import Dataset
from plumbline_training.evaluate import Evaluation, evaluate
from plumbline_training.losses import LOSSES, spatial_loss
from plumbline_training.predictors import HeatmapPredictor, torch_model
from plumbline_training.targets import Targets, disc_targets, gaussian_targets

STRIDE = 4.0
SPEC = InputSpec(height=256, width=192)
"""Whose mean and deviation training uses: the contract's defaults, as the exported model will."""


class Samples(Protocol):
    """Training pictures, uint8 RGB (H, W, 3), with what is to be found in them: a NamedTuple of tensors each."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class Task(Protocol):
    """Training pictures, loss and measure of one kind of network; a batch's first field is its pictures."""

    def samples(self, datasets: Sequence[Dataset], images: ImageStore, epoch: int) -> Samples:
        """The pictures of an epoch."""
        ...

    def loss(self, outputs: Tensor | tuple[Tensor, ...], batch: Any, stage: Stage) -> Tensor:
        """Of a batch on the net's device."""
        ...

    def measure(self, net: nn.Module, stage: Stage, validation: Dataset) -> Evaluation:
        """At a stage's input size; the net is in evaluation mode."""
        ...


class Teacher(Protocol):
    """Tells a student where the keypoints of a batch are."""

    def __call__(self, crops_BHW3: Tensor, config: RunConfig, stage: Stage) -> Taught:
        """For uint8 RGB crops, at the student's heatmap size; no gradient flows through it."""
        ...


class Taught(NamedTuple):
    """What a teacher says of a batch."""

    heatmaps_BKHW: Tensor
    """In [0, 1]."""
    points_BK2: Tensor
    """x, y in heatmap pixels."""
    scores_BK: Tensor
    """How sure it is, in [0, 1]."""


class TopDown:
    """Heatmaps of the one person that a crop is centred on."""

    def __init__(self, config: RunConfig, teacher: Teacher | None = None) -> None:
        self._config = config
        self._teacher = teacher
        assert (teacher is None) == (config.distillation is None), "a teacher and its settings belong together"

    def samples(self, datasets: Sequence[Dataset], images: ImageStore, epoch: int) -> TrainingCrops:
        """Augmented crops of every person."""
        return TrainingCrops(datasets, images, self._config, epoch)

    def loss(self, outputs: Tensor | tuple[Tensor, ...], batch: Sample, stage: Stage) -> Tensor:
        """The mean over the supervised outputs; with a teacher its share is the configuration's weight."""
        targets = draw_targets(self._config, stage, batch.keypoints_K3)
        maps = [logits_BKHW.float() for logits_BKHW in supervised(outputs)]
        if self._teacher is None or self._config.distillation is None:
            return self._against(maps, targets)
        settings = self._config.distillation
        taught = self._teacher(batch.crop_HW3, self._config, stage)
        sure_BK = (taught.scores_BK >= settings.min_score).float()
        lesson = Targets(taught.heatmaps_BKHW, sure_BK, sure_BK, taught.points_BK2)
        by_teacher = self._against(maps, lesson)
        if not targets.labelled_BK.any():
            return by_teacher
        return (1 - settings.weight) * self._against(maps, targets) + settings.weight * by_teacher

    def _against(self, maps: Sequence[Tensor], targets: Targets) -> Tensor:
        losses = [LOSSES[self._config.loss](logits_BKHW, targets) for logits_BKHW in maps]
        if self._config.spatial_weight:
            losses += [self._config.spatial_weight * spatial_loss(logits_BKHW, targets) for logits_BKHW in maps]
        return torch.stack(losses).sum() / len(maps)

    def measure(self, net: nn.Module, stage: Stage, validation: Dataset) -> Evaluation:
        """AP on ground-truth boxes, without flip."""
        return evaluate(validation, stage_predictor(net, self._config, stage), False, True)


def stage_predictor(net: nn.Module, config: RunConfig, stage: Stage, flip: bool = False) -> HeatmapPredictor:
    """The net as a predictor at a stage's input size."""
    net.eval()
    return HeatmapPredictor(
        model=torch_model(net, InputSpec(height=stage.height, width=stage.width, layout="NCHW")),
        height=stage.height,
        width=stage.width,
        stride=STRIDE,
        box_padding=config.box_padding,
        decode=config.decode,
        stage="torch",
        precision="fp32",
        flip=flip,
        alignment=config.alignment,
    )


def normalise(crops_BHW3: Tensor) -> Tensor:
    """uint8 RGB crops as (B, 3, H, W) float32 in channels-last memory, as the contract's `to_tensor` does."""
    mean = torch.tensor(SPEC.mean, device=crops_BHW3.device) * 255
    deviation = torch.tensor(SPEC.std, device=crops_BHW3.device) * 255
    return ((crops_BHW3.float() - mean) / deviation).permute(0, 3, 1, 2)


def draw_targets(config: RunConfig, stage: Stage, keypoints_BK3: Tensor) -> Targets:
    """The heatmaps of a batch at a stage's size."""
    draw = gaussian_targets if config.target == "gaussian" else disc_targets
    height, width = int(stage.height / STRIDE), int(stage.width / STRIDE)
    return draw(keypoints_BK3, height, width, STRIDE, stage.target_size, config.alignment)
