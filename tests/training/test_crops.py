"""Training crops: the same seed gives the same, and a mirror exchanges left and right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from plumbline_contract.preprocess import decode_picture
from plumbline_contract.skeleton import MIRROR, Keypoint
from plumbline_training import augment, recipes
from plumbline_training.config import Augmentation
from plumbline_training.crops import ImageStore, TrainingCrops
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.scenes import Scenes

MakeDataset = Callable[[Path, int], Path]


def test_crops_depend_on_seed_epoch_and_position_alone(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 4)).train[0])
    images = ImageStore([dataset], quiet=True)
    config = recipes.tiny()
    first, again = (TrainingCrops([dataset], images, config, 0) for _ in range(2))
    assert all(torch.equal(a, b) for index in (3, 0) for a, b in zip(first[index], again[index], strict=True))
    other_epoch = TrainingCrops([dataset], images, config, 1)
    assert not torch.equal(first[0].crop_HW3, other_epoch[0].crop_HW3)


def test_a_crop_without_randomness_is_centred_on_the_person(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 2)).train[0])
    still = Augmentation(rotation_probability=0, scale=0, flip_probability=0, half_body_probability=0)
    config = dataclasses.replace(recipes.tiny(), augmentation=still)
    sample = TrainingCrops([dataset], ImageStore([dataset], quiet=True), config, 0)[0]
    points = sample.keypoints_K3[:, :2].numpy()
    assert np.abs((points.min(axis=0) + points.max(axis=0)) / 2 - 31.5).max() < 2.0
    assert points.min() > 0
    assert points.max() < 64
    # The figure's limbs are saturated, the ground is dull: the shoulder lies on a limb of the crop.
    x, y = points[Keypoint.LEFT_SHOULDER].round().astype(int)
    pixel = sample.crop_HW3[y, x].int()
    assert int(pixel.max() - pixel.min()) > 100


def test_mirroring_twice_gives_the_same_back() -> None:
    generator = np.random.default_rng(0)
    crop = generator.integers(0, 256, (32, 24, 3), dtype=np.uint8)
    keypoints = np.concatenate([generator.uniform(0, 24, (17, 2)), np.ones((17, 1))], axis=1).astype(np.float32)
    flipped, moved = augment.mirror(crop, keypoints)
    assert moved[Keypoint.RIGHT_WRIST, 0] == 23 - keypoints[Keypoint.LEFT_WRIST, 0]
    assert np.array_equal(flipped[:, 0], crop[:, 23])
    back, restored = augment.mirror(flipped, moved)
    assert np.array_equal(back, crop)
    np.testing.assert_allclose(restored, keypoints, atol=1e-5)
    assert sorted(MIRROR) == list(range(17))


def test_every_change_of_look_keeps_shape_and_type() -> None:
    settings = Augmentation(colour=1.0, blur_probability=1.0, cutout_probability=1.0)
    generator = np.random.default_rng(0)
    crop = generator.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    for _ in range(50):
        changed = augment.random_look(crop, settings, generator)
        assert changed.shape == crop.shape
        assert changed.dtype == np.uint8
        assert not np.array_equal(changed, crop)


def test_pictures_beyond_the_budget_are_read_when_their_turn_comes(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 4)).train[0])
    roomy, tight = ImageStore([dataset], quiet=True), ImageStore([dataset], quiet=True, budget_bytes=2 * 96 * 96 * 3)
    assert (len(roomy._decoded), len(tight._decoded)) == (4, 2)
    pairs = [(roomy[person], tight[person]) for person in dataset.persons]
    assert all(one is not None and other is not None and np.array_equal(one, other) for one, other in pairs)


def test_a_picture_that_turns_out_to_be_broken_is_a_sample_without_labels(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 4)).train[0])
    images = ImageStore([dataset], quiet=True, budget_bytes=2 * 96 * 96 * 3)
    dataset.persons[3].image.write_bytes(b"")
    config = dataclasses.replace(
        recipes.tiny(), augmentation=dataclasses.replace(recipes.tiny().augmentation, nobody_probability=0.0)
    )
    for samples in (TrainingCrops([dataset], images, config, 0), Scenes([dataset], images, config, 0)):
        assert [float(samples[index].broken) for index in range(4)] == [0, 0, 0, 1]
        assert float(samples[3][1].abs().sum()) == 0
        assert samples[3][0].shape == samples[0][0].shape


def test_a_jpeg_without_its_end_is_broken_and_bytes_after_it_are_not() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    encoded = cv2.imencode(".jpg", picture)[1].tobytes()
    assert decode_picture(encoded) is not None
    assert decode_picture(encoded + b"camera" * 10_000) is not None
    # A thumbnail's end within the header is not the picture's; phones write such, and films after the picture.
    thumbnail = b"\xff\xe1" + (2 + len(encoded)).to_bytes(2, "big") + encoded
    with_thumbnail = encoded[:2] + thumbnail + encoded[2:]
    assert decode_picture(with_thumbnail) is not None
    for whole in (encoded, with_thumbnail):
        assert decode_picture(whole[: len(whole) - len(encoded) // 4]) is None
    assert decode_picture(b"") is None
    assert decode_picture(cv2.imencode(".png", picture)[1].tobytes()) is not None
