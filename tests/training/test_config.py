"""A configuration is checked when built, and known again from the checkpoints of earlier code."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from plumbline_contract.box import Box
from plumbline_training import augment, recipes
from plumbline_training.config import Augmentation, Distillation, RunConfig, Schedule, Stage


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Stage(100, 96, 1), "multiples of 32"),
        (lambda: Stage(0, 96, 1), "multiples of 32"),
        (lambda: Stage(8192, 96, 1), "multiples of 32 up to 4096"),
        (lambda: Stage(64, 64, 0), "at least one is needed"),
        (lambda: Stage(64, 64, 1, 0.0), "must be above 0"),
        (lambda: Stage(64, 64, 1, math.nan), "must be above 0"),
        (lambda: Schedule(batch_size=0), "batch size 0"),
        (lambda: Schedule(batch_size=9, accumulate=2), "into 2 equal parts"),
        (lambda: Distillation("0" * 64, weight=0.0), "above 0"),
        (lambda: Distillation("0" * 64, min_score=1.0), "below 1"),
        (lambda: dataclasses.replace(recipes.tiny(), stages=()), "no stages"),
        (lambda: dataclasses.replace(recipes.tiny(), loss="integral"), "'linear' and decode 'soft_argmax'"),
        (lambda: dataclasses.replace(recipes.tiny(), seed=-1), "seed -1"),
        (lambda: dataclasses.replace(recipes.tiny(), workers=-1), "workers -1"),
    ],
)
def test_an_impossible_value_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_the_digest_stays_when_fields_are_added_and_changes_with_any_value() -> None:
    stages = (Stage(128, 96, 6, 1.5), Stage(192, 160, 6, 2.0))
    everybody = Augmentation(
        rotation_degrees=40.0,
        scale=0.35,
        shift=0.08,
        half_body_probability=0.15,
        colour=0.5,
        blur_probability=0.2,
        cutout_probability=0.2,
    )
    config = dataclasses.replace(recipes.edge_s(), stages=stages, workers=1, augmentation=everybody, decode="dark")
    assert config.digest() == "397d1ba8d879dbfb7c36ad1c4ca52ff6c8db374bffa3baa658b68bbff6760d37"
    assert config.digest() == dataclasses.replace(config, workers=5).digest()
    assert config.digest() != dataclasses.replace(config, seed=1).digest()
    assert config.digest() != dataclasses.replace(config, alignment="corner").digest()
    assert config.digest() != dataclasses.replace(config, augmentation=recipes.edge_s().augmentation).digest()


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_a_configuration_survives_json(name: str) -> None:
    config = dataclasses.replace(recipes.recipe_named(name), distillation=Distillation("0" * 64))
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def box_statistics(config: RunConfig, **changes: float) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    generator = np.random.default_rng(0)
    settings = dataclasses.replace(config.augmentation, half_body_probability=0.0, rotation_probability=1.0, **changes)
    boxes = [
        augment.random_box(Box(50, 50, 40, 80), np.zeros((17, 3), np.float32), settings, generator) for _ in range(4000)
    ]
    return np.array([box.angle_degrees for box in boxes]), np.array([box.width / 40 for box in boxes])


def test_the_official_recipes_turn_and_scale_as_the_authors_do() -> None:
    angles, scales = box_statistics(recipes.hrnet_w32_256x192())
    generator = np.random.default_rng(1)
    expected_angles = np.clip(generator.normal(0, 45, 4000), -90, 90)
    expected_scales = np.clip(generator.normal(1, 0.35, 4000), 0.65, 1.35)
    assert abs(angles).max() == 90
    assert angles.std() == pytest.approx(expected_angles.std(), rel=0.05)
    assert (scales.min(), scales.max()) == (pytest.approx(0.65), pytest.approx(1.35))
    assert scales.std() == pytest.approx(expected_scales.std(), rel=0.05)
    settings = recipes.hrnet_w48_384x288()
    assert settings.augmentation.half_body_padding * settings.box_padding == pytest.approx(1.5)


def test_edge_s_turns_and_scales_as_it_was_trained() -> None:
    settings = recipes.edge_s().augmentation
    assert (
        (settings.scale_spread, settings.half_body_padding)
        == (0.5, 1.5)
        == (
            Augmentation().scale_spread,
            Augmentation().half_body_padding,
        )
    )
    angles, scales = box_statistics(recipes.edge_s())
    assert abs(angles).max() == 40
    assert scales.std() == pytest.approx(0.143, rel=0.05)
