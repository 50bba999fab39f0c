"""Persons as training samples: a crop (H, W, 3) uint8 RGB and keypoints (K, 3) in crop pixels with their weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils import data
from tqdm import tqdm

from plumbline_contract.box import transform_points
from plumbline_contract.preprocess import Image, extract_crop
from plumbline_training import augment
from plumbline_training.config import RunConfig
from plumbline_training.datasets import Dataset, Person
from plumbline_training.errors import InvalidDataset

MAX_BROKEN_SHARE = 0.01
"""More unreadable pictures than this stop the run."""


class Sample(NamedTuple):
    """One crop, or a batch of them (leading B)."""

    crop_HW3: Tensor
    """uint8 RGB."""
    keypoints_K3: Tensor
    """x, y in crop pixels, and 1 where labelled, else 0."""


def read_image(person: Person) -> Image | None:
    """The picture in BGR, or None when it cannot be decoded."""
    image = cv2.imread(str(person.image), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, dtype=np.uint8)


class ImageStore:
    """Every picture decoded once and kept, so that workers only warp.

    Unreadable pictures are left out and counted; more than MAX_BROKEN_SHARE raise InvalidDataset.
    """

    def __init__(self, datasets: Sequence[Dataset], quiet: bool = False) -> None:
        self._images: dict[str, Image] = {}
        self.broken: list[str] = []
        persons = {str(person.image): person for dataset in datasets for person in dataset.persons}
        for name, person in tqdm(persons.items(), desc="decode", unit="picture", disable=quiet or None):
            image = read_image(person)
            if image is None:
                self.broken.append(name)
            else:
                self._images[name] = image
        if len(self.broken) > MAX_BROKEN_SHARE * len(persons):
            raise InvalidDataset(
                f"{len(self.broken)} of {len(persons)} pictures cannot be decoded, first {self.broken[0]!r}; "
                f"they are truncated or no pictures: fetch them again"
            )

    def __contains__(self, person: Person) -> bool:
        return str(person.image) in self._images

    def __getitem__(self, person: Person) -> Image:
        return self._images[str(person.image)]


class TrainingCrops(data.Dataset[Sample]):
    """Augmented crops of one epoch at one size.

    The randomness of a sample depends on seed, epoch and position alone, so any number of workers gives the same.
    """

    def __init__(self, datasets: Sequence[Dataset], images: ImageStore, config: RunConfig, epoch: int) -> None:
        self._persons = [
            person for dataset in datasets for person in dataset.persons * dataset.entry.repeat if person in images
        ]
        self._images = images
        self._config = config
        self._epoch = epoch
        self._stage = config.stage_at(epoch)

    def __len__(self) -> int:
        return len(self._persons)

    def __getitem__(self, index: int) -> Sample:
        generator = np.random.default_rng((self._config.seed, self._epoch, index))
        person, settings = self._persons[index], self._config.augmentation
        box = augment.random_box(person.box, person.keypoints_K3, settings, generator).padded(self._config.box_padding)
        crop_HW3, matrix_23 = extract_crop(self._images[person], box, self._stage.height, self._stage.width)
        points_K2 = transform_points(matrix_23, person.keypoints_K3[:, :2])
        labelled_K1 = (person.keypoints_K3[:, 2:] > 0).astype(np.float32)
        keypoints_K3 = np.concatenate([points_K2, labelled_K1], axis=1).astype(np.float32)
        if generator.random() < settings.flip_probability:
            crop_HW3, keypoints_K3 = augment.mirror(crop_HW3, keypoints_K3)
        crop_HW3 = augment.random_look(crop_HW3, settings, generator)
        return Sample(torch.from_numpy(crop_HW3), torch.from_numpy(keypoints_K3))
