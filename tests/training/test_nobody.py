"""Pictures of nobody: beside people, or drawn, and labelled so that every heatmap is empty."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from plumbline_contract.box import Box
from plumbline_training import nobody, recipes
from plumbline_training.config import Augmentation
from plumbline_training.crops import ImageStore, TrainingCrops
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.targets import gaussian_targets

MakeDataset = Callable[[Path, int], Path]


def test_a_background_crop_keeps_away_from_people() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[40:160, 100:160] = 255
    person = Box(129.5, 99.5, 60, 120)
    generator = np.random.default_rng(0)
    crops = [nobody.background_crop(picture, [person], 64, 48, generator) for _ in range(40)]
    found = [crop for crop in crops if crop is not None]
    assert len(found) > 20
    assert max(float((crop > 128).mean()) for crop in found) < 0.2


def test_where_people_fill_the_picture_there_is_no_background() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    grid = [Box(x, y, 12, 12) for x in range(0, 200, 12) for y in range(0, 200, 12)]
    assert nobody.background_crop(picture, grid, 64, 48, np.random.default_rng(0)) is None


def test_drawn_signs_differ_and_follow_the_seed() -> None:
    first, again, other = (nobody.drawn_sign(64, 48, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (64, 48, 3)


def test_a_sample_of_nobody_has_known_and_empty_heatmaps(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 3)).train[0])
    config = dataclasses.replace(recipes.tiny(), augmentation=Augmentation(nobody_probability=1.0))
    sample = TrainingCrops([dataset], ImageStore([dataset], quiet=True), config, 0)[0]
    assert sample.crop_HW3.shape == (64, 64, 3)
    targets = gaussian_targets(sample.keypoints_K3[None], 16, 16, 4.0, 2.0)
    assert torch.equal(targets.labelled_BK, torch.ones(1, 17))
    assert float(targets.heatmaps_BKHW.abs().max()) == 0.0
