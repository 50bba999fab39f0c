"""A student learns from a teacher what nobody labelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from plumbline_contract.box import Box
from plumbline_contract.decode import Alignment, heatmap_to_input
from plumbline_contract.manifest import Precision
from plumbline_contract.manifest import Stage as Form
from plumbline_contract.preprocess import Image
from plumbline_training import engine, export, recipes
from plumbline_training.config import Distillation, RunConfig, Stage
from plumbline_training.crops import Sample
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.distillation import load_teacher, teacher_of
from plumbline_training.predictors import HeatmapPredictor
from plumbline_training.targets import gaussian_targets
from plumbline_training.tasks import TopDown

MakeDataset = Callable[[Path, int], Path]
POINT = (41.0, 21.0)
"""Of every keypoint, in crop pixels of a 64x64 crop."""


def student(**changes: object) -> RunConfig:
    config = dataclasses.replace(recipes.tiny(), distillation=Distillation("0" * 64))
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


class Pointing:
    """Says that every keypoint is at POINT; K ears with a score below the least."""

    stage: Form = "tflite"
    precision: Precision = "fp16"

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        scores = np.where(np.arange(17) < 5, 0.1, 0.9)
        return np.array([[(*POINT, score) for score in scores] for _ in boxes], np.float32)


def drawn(side: int, alignment: Alignment) -> HeatmapPredictor:
    """A heatmap net of another input size that sees POINT too."""
    scale = side / 64

    def maps(crops_NHW3: Image) -> npt.NDArray[np.float32]:
        points = (np.array(POINT) + 0.5) * scale - 0.5
        keypoints = torch.tensor([*points, 1.0]).float().expand(len(crops_NHW3), 17, 3)
        return gaussian_targets(keypoints, side // 4, side // 4, 4.0, 2.0, alignment).heatmaps_BKHW.numpy()

    return HeatmapPredictor(maps, side, side, 4.0, 1.25, "dark", "onnx", "fp32", alignment=alignment)


@pytest.mark.parametrize("alignment", ["centre", "corner"])
@pytest.mark.parametrize("side", [64, 128])
def test_heatmaps_of_another_size_and_alignment_mean_the_same_place(alignment: Alignment, side: int) -> None:
    teacher, config = teacher_of(drawn(side, alignment)), student()
    taught = teacher(torch.zeros(2, 64, 64, 3, dtype=torch.uint8), config, config.final_stage)
    assert taught.heatmaps_BKHW.shape == (2, 17, 16, 16)
    found = heatmap_to_input(taught.points_BK2.numpy(), 4.0)
    np.testing.assert_allclose(found, np.broadcast_to(POINT, found.shape), atol=2.5 if alignment == "corner" else 0.5)
    peak = taught.heatmaps_BKHW[0, 0].flatten().argmax()
    assert (int(peak) % 16, int(peak) // 16) == (10, 5)
    assert float(taught.scores_BK.min()) > 0.8


def test_a_keypoint_teacher_is_drawn_and_its_doubts_are_kept() -> None:
    config = student()
    taught = teacher_of(Pointing())(torch.zeros(3, 64, 64, 3, dtype=torch.uint8), config, Stage(64, 64, 1))
    np.testing.assert_allclose(heatmap_to_input(taught.points_BK2.numpy(), 4.0)[0, 0], POINT, atol=1e-3)
    assert taught.scores_BK[:, :5].max() < 0.2 < 0.8 < taught.scores_BK[:, 5:].min()


def loss_of(keypoints_BK3: torch.Tensor, config: RunConfig, teacher: bool) -> tuple[float, torch.Tensor]:
    logits = torch.zeros(1, 17, 16, 16, requires_grad=True)
    task = TopDown(config, teacher_of(Pointing())) if teacher else TopDown(config)
    sample = Sample(torch.zeros(1, 64, 64, 3, dtype=torch.uint8), keypoints_BK3, *(torch.zeros(1) for _ in BROKEN))
    loss = task.loss(logits, sample, Stage(64, 64, 1))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    return float(loss.detach()), logits.grad


BROKEN = Sample._fields[2:]


def test_an_unlabelled_person_is_learned_from_the_teacher_alone_where_it_is_sure() -> None:
    _, gradient = loss_of(torch.zeros(1, 17, 3), student(), teacher=True)
    assert float(gradient[:, :5].abs().max()) == 0
    assert float(gradient[:, 5:].abs().amax(dim=(2, 3)).min()) > 0


def test_the_weight_shares_the_loss_between_labels_and_teacher() -> None:
    labelled = torch.tensor([10.0, 50.0, 1.0]).expand(1, 17, 3).contiguous()
    alone, _ = loss_of(labelled, student(distillation=None), teacher=False)
    taught, _ = loss_of(torch.zeros(1, 17, 3), student(), teacher=True)
    both, _ = loss_of(labelled, student(distillation=Distillation("0" * 64, weight=0.25)), teacher=True)
    assert both == pytest.approx(0.75 * alone + 0.25 * taught, rel=1e-5)


def test_a_run_learns_from_a_checkpoint_and_goes_on_only_with_the_same_teacher(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 24)).train[0])
    first = engine.train(recipes.tiny(), [dataset], dataset, tmp_path / "teacher", quiet=True)
    for path in (first, tmp_path / "model.onnx"):
        if path.suffix == ".onnx":
            export.export(first, path, dataset)
        teacher, digest = load_teacher(path)
        config = student(distillation=Distillation(digest), seed=1)
        best = engine.train(config, [dataset], dataset, tmp_path / path.suffix[1:], quiet=True, teacher=teacher)
        assert export.load_model(best)[1].distillation == Distillation(digest)
