"""Whole pictures as training samples: everybody in them, changed at random. Axes: P people, K keypoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils import data

from plumbline_contract.box import Box, transform_points
from plumbline_contract.preprocess import extract_crop
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training import augment
from plumbline_training.config import RunConfig
from plumbline_training.crops import ImageStore
from plumbline_training.datasets import Dataset, Person

MAX_PEOPLE = 20
"""Of one picture: as many as COCO's evaluation takes."""


class Scene(NamedTuple):
    """One picture, or a batch of them (leading B)."""

    picture_HW3: Tensor
    """uint8 RGB."""
    people_PK3: Tensor
    """x, y in the picture's pixels, and 1 where labelled, else 0."""
    centres_P3: Tensor
    """x, y of the middle of the person's box, and half its mean side; a size of 0 where there is nobody."""
    broken: Tensor
    """1 where the picture could not be read: black, with nobody; else 0."""


class Scenes(data.Dataset[Scene]):
    """The pictures of an epoch at one size; the randomness of a sample depends on seed, epoch and position alone."""

    def __init__(self, datasets: Sequence[Dataset], images: ImageStore, config: RunConfig, epoch: int) -> None:
        self._people: list[list[Person]] = []
        for dataset in datasets:
            by_picture: dict[int, list[Person]] = {}
            for person in dataset.persons:
                if person in images:
                    by_picture.setdefault(person.image_id, []).append(person)
            self._people += list(by_picture.values()) * dataset.entry.repeat
        self._images, self._config, self._epoch = images, config, epoch
        self._stage = config.stage_at(epoch)
        # Half a body is a crop of one person.
        self._augmentation = dataclasses.replace(config.augmentation, half_body_probability=0.0)

    def __len__(self) -> int:
        return len(self._people)

    def __getitem__(self, index: int) -> Scene:
        generator = np.random.default_rng((self._config.seed, self._epoch, index))
        people, stage = self._people[index][:MAX_PEOPLE], self._stage
        image = self._images[people[0]]
        if image is None:
            blank = torch.zeros(stage.height, stage.width, 3, dtype=torch.uint8)
            nobody_PK3, nowhere_P3 = torch.zeros(MAX_PEOPLE, NUM_KEYPOINTS, 3), torch.zeros(MAX_PEOPLE, 3)
            return Scene(blank, nobody_PK3, nowhere_P3, torch.ones(()))
        height, width = image.shape[:2]
        whole = Box((width - 1) / 2, (height - 1) / 2, width, height)
        nobody_K3 = np.zeros((NUM_KEYPOINTS, 3), np.float32)
        box = augment.random_box(whole, nobody_K3, self._augmentation, generator)
        picture_HW3, matrix_23 = extract_crop(image, box, stage.height, stage.width)
        zoom = float(np.hypot(*matrix_23[:, 0]))
        keypoints_PK3 = np.zeros((MAX_PEOPLE, NUM_KEYPOINTS, 3), np.float32)
        centres_P3 = np.zeros((MAX_PEOPLE, 3), np.float32)
        mirrored = generator.random() < self._augmentation.flip_probability
        for number, person in enumerate(people):
            points_K2 = transform_points(matrix_23, person.keypoints_K3[:, :2])
            known_K1 = (person.keypoints_K3[:, 2:] > 0).astype(np.float32)
            keypoints_PK3[number] = np.concatenate([points_K2, known_K1], axis=1)
            middle = transform_points(matrix_23, np.array([[person.box.centre_x, person.box.centre_y]]))[0]
            centres_P3[number] = (*middle, zoom * (person.box.width + person.box.height) / 4)
            if mirrored:
                _, keypoints_PK3[number] = augment.mirror(picture_HW3, keypoints_PK3[number])
                centres_P3[number, 0] = stage.width - 1 - centres_P3[number, 0]
        if mirrored:
            picture_HW3 = np.ascontiguousarray(picture_HW3[:, ::-1])
        picture_HW3 = augment.random_look(picture_HW3, self._augmentation, generator)
        picture, people_PK3 = torch.from_numpy(picture_HW3), torch.from_numpy(keypoints_PK3)
        return Scene(picture, people_PK3, torch.from_numpy(centres_P3), torch.zeros(()))
