"""Persons as training samples: a crop (H, W, 3) uint8 RGB and keypoints (K, 3) in crop pixels with their weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils import data
from tqdm import tqdm

from plumbline_contract.box import Box, transform_points
from plumbline_contract.preprocess import Image, decode_picture, extract_crop
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training import augment, nobody, shards
from plumbline_training.config import RunConfig
from plumbline_training.datasets import Dataset, Person
from plumbline_training.errors import InvalidDataset

MAX_BROKEN_SHARE = 0.01
"""More unreadable pictures than this stop the run."""
DECODED_BUDGET_BYTES = 4 * 2**30
"""Memory for decoded pictures: some 4,500 of COCO's. The rest is read from disk when its turn comes."""


NOWHERE = (-1e4, -1e4, 1.0)
"""A keypoint that is known not to be in the crop: outside of it, and labelled."""
BACKGROUND_SHARE = 0.7
"""Of the pictures of nobody, those cut from beside people where a dataset has such; the others are drawn."""


class Sample(NamedTuple):
    """One crop, or a batch of them (leading B)."""

    crop_HW3: Tensor
    """uint8 RGB."""
    keypoints_K3: Tensor
    """x, y in crop pixels, and 1 where labelled, else 0."""
    broken: Tensor
    """1 where the picture could not be read: black, with nothing labelled; else 0."""


def read_image(person: Person) -> Image | None:
    """The picture in BGR, or None when it cannot be read or decoded, or ends early."""
    return read_path(person.image)


def read_path(path: Path) -> Image | None:
    """As `read_image`."""
    encoded = _read(path)
    return None if encoded is None else decode_picture(encoded)


def _read(path: Path) -> bytes | None:
    try:
        return shards.read_bytes(path)
    except OSError:
        return None


def check_readable(dataset: Dataset, quiet: bool = False, whole: bool = False) -> None:
    """Decode every picture of a person once, with `whole` those of nobody too.

    Raises InvalidDataset: a picture to measure on must not be left out.
    """
    paths = dataset.pictures.values() if whole else dict.fromkeys(person.image for person in dataset.persons)
    for path in tqdm(paths, desc="check", unit="picture", disable=quiet or None, leave=False):
        if read_path(path) is None:
            raise InvalidDataset(
                f"{str(path)!r} cannot be read; a picture to measure on must not be left out: fetch it again"
            )


class ImageStore:
    """Pictures decoded once within a budget of memory; the others are read and decoded when they are asked for.

    Unreadable pictures among the first are left out, counted and reported; more than MAX_BROKEN_SHARE raise
    InvalidDataset.
    """

    def __init__(
        self, datasets: Sequence[Dataset], quiet: bool = False, budget_bytes: int = DECODED_BUDGET_BYTES
    ) -> None:
        self._decoded: dict[str, Image] = {}
        self.broken: list[str] = []
        used_bytes = 0
        names = {str(person.image): person.image for dataset in datasets for person in dataset.persons}
        for name, path in tqdm(names.items(), desc="decode", unit="picture", disable=quiet or None):
            encoded = _read(path)
            image = None if encoded is None else decode_picture(encoded)
            if image is None:
                self.broken.append(name)
                continue
            used_bytes += image.nbytes
            if used_bytes > budget_bytes:
                break
            self._decoded[name] = image
        seen = len(self._decoded) + len(self.broken)
        if len(self.broken) > MAX_BROKEN_SHARE * seen:
            raise InvalidDataset(
                f"{len(self.broken)} of {seen} pictures cannot be decoded, first {self.broken[0]!r}; "
                f"they are truncated or no pictures: fetch them again"
            )
        if self.broken and not quiet:
            tqdm.write(f"{len(self.broken)} of {seen} pictures are broken and left out, first {self.broken[0]!r}")
        self._left_out = frozenset(self.broken)

    def __contains__(self, person: Person) -> bool:
        return str(person.image) not in self._left_out

    def __getitem__(self, person: Person) -> Image | None:
        """The picture in BGR; None for one beyond the budget that turns out to be broken."""
        image = self._decoded.get(str(person.image))
        return read_image(person) if image is None else image


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
        self._boxes_in: dict[Path, list[Box]] = {}
        for dataset in datasets:
            # Crowds and people without keypoints are somebody too.
            for item in dataset.annotations if dataset.entry.background else ():
                if min(item.bbox_xywh[2:]) > 0:
                    boxes = self._boxes_in.setdefault(dataset.pictures[item.image_id], [])
                    boxes.append(Box.from_xywh(item.bbox_xywh))

    def __len__(self) -> int:
        return len(self._persons)

    def __getitem__(self, index: int) -> Sample:
        generator = np.random.default_rng((self._config.seed, self._epoch, index))
        person, settings = self._persons[index], self._config.augmentation
        if generator.random() < settings.nobody_probability:
            return self._nobody(person, generator)
        box = augment.random_box(person.box, person.keypoints_K3, settings, generator).padded(self._config.box_padding)
        image = self._images[person]
        if image is None:
            blank = torch.zeros(self._stage.height, self._stage.width, 3, dtype=torch.uint8)
            return Sample(blank, torch.zeros(NUM_KEYPOINTS, 3), torch.ones(()))
        crop_HW3, matrix_23 = extract_crop(image, box, self._stage.height, self._stage.width)
        points_K2 = transform_points(matrix_23, person.keypoints_K3[:, :2])
        labelled_K1 = (person.keypoints_K3[:, 2:] > 0).astype(np.float32)
        keypoints_K3 = np.concatenate([points_K2, labelled_K1], axis=1).astype(np.float32)
        if generator.random() < settings.flip_probability:
            crop_HW3, keypoints_K3 = augment.mirror(crop_HW3, keypoints_K3)
        crop_HW3 = augment.random_look(crop_HW3, settings, generator)
        return Sample(torch.from_numpy(crop_HW3), torch.from_numpy(keypoints_K3), torch.zeros(()))

    def _nobody(self, person: Person, generator: np.random.Generator) -> Sample:
        """A sample without a person: every keypoint is known to be nowhere in it."""
        height, width = self._stage.height, self._stage.width
        crop_HW3 = None
        if generator.random() < BACKGROUND_SHARE and person.image in self._boxes_in:
            image, boxes = self._images[person], self._boxes_in[person.image]
            if image is not None:
                crop_HW3 = nobody.background_crop(image, boxes, height, width, generator)
        if crop_HW3 is None:
            crop_HW3 = nobody.drawn_sign(height, width, generator)
        crop_HW3 = augment.random_look(crop_HW3, self._config.augmentation, generator)
        return Sample(torch.from_numpy(crop_HW3), torch.tensor([NOWHERE]).repeat(NUM_KEYPOINTS, 1), torch.zeros(()))
