"""Training and measuring a bottom-up net. Axes: B batch, P people, K keypoints, H and W heatmap rows and columns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from plumbline_contract.manifest import InputSpec
from plumbline_training.centre_net import MAPS
from plumbline_training.config import RunConfig, Stage
from plumbline_training.crops import ImageStore
from plumbline_training.datasets import Dataset
from plumbline_training.evaluate import Evaluation
from plumbline_training.people import PeoplePredictor, evaluate_people
from plumbline_training.predictors import torch_model
from plumbline_training.scenes import Scene, Scenes
from plumbline_training.targets import heatmap_points
from plumbline_training.tasks import STRIDE

CENTRE_SIGMA = 0.1
"""Deviation of a centre's Gaussian as a part of the mean of the box's sides."""
OFFSET_WEIGHT = 0.1


class BottomUp:
    """Centres, keypoint maps and offsets of everybody in a picture."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config

    def samples(self, datasets: Sequence[Dataset], images: ImageStore, epoch: int) -> Scenes:
        """Whole pictures."""
        return Scenes(datasets, images, self._config, epoch)

    def loss(self, outputs: Tensor | tuple[Tensor, ...], batch: Scene, stage: Stage) -> Tensor:
        """Focal loss of the maps and L1 of the offsets at the centres."""
        assert isinstance(outputs, Tensor)
        outputs_BCHW = outputs.float()
        height, width = outputs_BCHW.shape[2:]
        centres_BP2 = heatmap_points(batch.centres_P3[..., :2], STRIDE, "centre")
        points_BPK2 = heatmap_points(batch.people_PK3[..., :2], STRIDE, "centre")
        limits = torch.tensor([width, height], device=outputs_BCHW.device)
        there_BP = (batch.centres_P3[..., 2] > 0) & ((centres_BP2 > -0.5) & (centres_BP2 < limits - 0.5)).all(dim=-1)
        inside_BPK = ((points_BPK2 > -0.5) & (points_BPK2 < limits - 0.5)).all(dim=-1)
        known_BPK = (batch.people_PK3[..., 2] > 0) & there_BP[..., None]
        sigma_BP = (2 * CENTRE_SIGMA * batch.centres_P3[..., 2] / STRIDE).clamp(min=1.0)
        spread_BPK = sigma_BP.new_full(known_BPK.shape, stage.target_size)
        maps_BCHW = torch.cat(
            [
                _drawn(centres_BP2[:, :, None], there_BP[:, :, None], sigma_BP[:, :, None], height, width),
                _drawn(points_BPK2, known_BPK & inside_BPK, spread_BPK, height, width),
            ],
            dim=1,
        )
        maps_loss = penalty_reduced_focal_loss(outputs_BCHW[:, :MAPS], maps_BCHW)
        return maps_loss + OFFSET_WEIGHT * _offset_loss(outputs_BCHW, centres_BP2, there_BP, points_BPK2, known_BPK)

    def measure(self, net: nn.Module, stage: Stage, validation: Dataset) -> Evaluation:
        """AP without boxes."""
        return evaluate_people(validation, people_predictor(net, stage), intervals=False, quiet=True)


def people_predictor(net: nn.Module, stage: Stage) -> PeoplePredictor:
    """The net as a predictor at a stage's input size."""
    spec = InputSpec(height=stage.height, width=stage.width, layout="NCHW")
    return PeoplePredictor(torch_model(net.eval(), spec), stage.height, stage.width, STRIDE)


def _drawn(points_BPC2: Tensor, there_BPC: Tensor, sigma_BPC: Tensor, height: int, width: int) -> Tensor:
    """Gaussians around each whole pixel nearest to a point, the highest of all people: (B, C, H, W)."""
    cells = points_BPC2.round()
    columns, rows = (torch.arange(size, device=cells.device, dtype=torch.float32) for size in (width, height))
    scale_BPC1 = (-1 / (2 * sigma_BPC.square()))[..., None]
    across = torch.exp((columns - cells[..., 0:1]).square() * scale_BPC1)
    down = torch.exp((rows - cells[..., 1:2]).square() * scale_BPC1)
    maps_BPCHW = down[..., :, None] * across[..., None, :] * there_BPC[..., None, None]
    return maps_BPCHW.amax(dim=1)


def penalty_reduced_focal_loss(logits_BCHW: Tensor, targets_BCHW: Tensor) -> Tensor:
    """Law and Deng, "CornerNet", ECCV 2018, eq. 1 (alpha 2, beta 4), over the number of peaks."""
    probability = torch.sigmoid(logits_BCHW)
    peak = targets_BCHW >= 1
    positive = -functional.logsigmoid(logits_BCHW) * (1 - probability).square()
    negative = -functional.logsigmoid(-logits_BCHW) * probability.square() * (1 - targets_BCHW) ** 4
    return torch.where(peak, positive, negative).sum() / peak.sum().clamp(min=1)


def _offset_loss(
    outputs_BCHW: Tensor, centres_BP2: Tensor, there_BP: Tensor, points_BPK2: Tensor, known_BPK: Tensor
) -> Tensor:
    width = outputs_BCHW.shape[3]
    cells_BP2 = torch.where(there_BP[..., None], centres_BP2, 0).round().clamp(min=0)
    cells_BP2 = cells_BP2.minimum(cells_BP2.new_tensor([width - 1, outputs_BCHW.shape[2] - 1]))
    place_BP = (cells_BP2[..., 1] * width + cells_BP2[..., 0]).long()
    offsets_BOP = outputs_BCHW[:, MAPS:].flatten(2)
    at_BPO = offsets_BOP.gather(2, place_BP[:, None].expand(-1, offsets_BOP.shape[1], -1)).transpose(1, 2)
    wanted_BPK2 = points_BPK2 - cells_BP2[:, :, None]
    error_BPK = (at_BPO.reshape(wanted_BPK2.shape) - wanted_BPK2).abs().sum(dim=-1)
    return torch.where(known_BPK, error_BPK, 0).sum() / known_BPK.sum().clamp(min=1)
