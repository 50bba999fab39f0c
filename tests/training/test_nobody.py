"""Pictures of nobody: beside people, or drawn, and labelled so that every heatmap is empty."""

from __future__ import annotations

import dataclasses
import json
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


def test_a_crowd_that_fills_the_picture_leaves_no_background_at_its_edges() -> None:
    generator = np.random.default_rng(0)
    picture, crowd = np.zeros((200, 300, 3), np.uint8), Box(149.5, 99.5, 300, 200)
    inside = [Box(x, 99.5, 30, 40) for x in (20, 150, 280)]
    assert all(nobody._overlap(box, crowd) == 1 for box in inside)
    crops = [nobody.background_crop(picture, [crowd], 64, 48, generator) for _ in range(40)]
    # A crop at the border may lie outside of the picture almost whole.
    assert sum(crop is None for crop in crops) > 30


def test_crowds_and_people_without_keypoints_are_kept_out_of_pictures_of_nobody(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "data", 1)
    labels = data.parent / "person_keypoints.json"
    content = json.loads(labels.read_text())
    unseen = {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 30, 40], "keypoints": [0] * 51}
    crowd = {"id": 3, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [60, 0, 30, 90]}
    empty = {**unseen, "id": 4, "bbox": [5, 5, 0, 0]}
    labels.write_text(json.dumps({**content, "annotations": [*content["annotations"], unseen, crowd, empty]}))
    dataset = load_dataset(load_dataset_list(data).train[0])
    dataset = dataclasses.replace(dataset, entry=dataset.entry.model_copy(update={"background": True}))
    crops = TrainingCrops([dataset], ImageStore([dataset], quiet=True), recipes.tiny(), 0)
    person = dataset.persons[0]
    assert crops._boxes_in == {person.image: [person.box, Box(14.5, 19.5, 30, 40), Box(74.5, 44.5, 30, 90)]}
