"""Noise that is put into labels is found, and labels without noise stay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from tests.conftest import STANDING_K2

from plumbline_contract.skeleton import Keypoint
from plumbline_training.label_noise import (
    ARMS,
    GROUPS,
    LEGS,
    TORSO,
    drop_unbelieved,
    exchange_sides,
    exchanged,
    settle,
)
from plumbline_training.teacher import agrees


def labels() -> npt.NDArray[np.float32]:
    return np.concatenate([STANDING_K2 * 200, np.full((17, 1), 2)], axis=1).astype(np.float32)


def taught(score: float = 0.9) -> npt.NDArray[np.float32]:
    noise_K2 = np.random.default_rng(0).normal(0, 3, (17, 2))
    return np.concatenate([STANDING_K2 * 200 + noise_K2, np.full((17, 1), score)], axis=1).astype(np.float32)


@pytest.mark.parametrize("group", GROUPS)
def test_exchanged_sides_are_put_right(group: tuple[Keypoint, ...]) -> None:
    noisy_K3, joints = labels(), list(group)
    noisy_K3[joints] = exchanged(noisy_K3)[joints]
    assert agrees(noisy_K3, taught())
    assert exchange_sides(noisy_K3, taught(), 0.4) == len(group)
    assert np.array_equal(noisy_K3, labels())


def test_right_labels_stay_and_an_unsure_teacher_changes_nothing() -> None:
    right_K3 = labels()
    assert exchange_sides(right_K3, taught(), 0.4) == 0
    assert drop_unbelieved(right_K3, [taught()], 0.4) == 0
    noisy_K3 = exchanged(labels())
    upside_down_K3 = noisy_K3 * (1, -1, 1)
    assert exchange_sides(upside_down_K3.astype(np.float32), (taught() * (1, -1, 1)).astype(np.float32), 0.4) == 0
    assert exchange_sides(noisy_K3, taught(0.1), 0.4) == 0
    noisy_K3[Keypoint.LEFT_WRIST, :2] = 0
    assert drop_unbelieved(noisy_K3, [taught(0.1)], 0.4) == 0


def test_a_joint_that_no_teacher_believes_is_dropped() -> None:
    noisy_K3 = labels()
    noisy_K3[Keypoint.LEFT_ANKLE, :2] += 90
    believer_K3 = taught()
    believer_K3[Keypoint.LEFT_ANKLE, :2] += 85
    assert drop_unbelieved(noisy_K3.copy(), [taught(), believer_K3], 0.4) == 0
    assert drop_unbelieved(noisy_K3, [taught()], 0.4) == 1
    assert noisy_K3[Keypoint.LEFT_ANKLE].tolist() == [0, 0, 0]
    assert np.array_equal(noisy_K3[[*ARMS, *LEGS[:2]]], labels()[[*ARMS, *LEGS[:2]]])


def test_scattered_labels_settle_near_what_a_sure_teacher_sees() -> None:
    scattered_K3, right_K3 = labels(), labels()
    scattered_K3[:, :2] += np.random.default_rng(1).normal(0, 6, (17, 2))
    scattered_K3[Keypoint.LEFT_ANKLE] = labels()[Keypoint.LEFT_ANKLE] + (90, 0, 0)
    scattered_K3[Keypoint.RIGHT_WRIST] = 0
    before_K3, unsure_K3 = scattered_K3.copy(), right_K3.copy()
    assert settle(scattered_K3, (unsure_K3 * (1, 1, 0.1)).astype(np.float32), 0.4) == 0
    assert np.array_equal(scattered_K3, before_K3)

    body = [joint for joint in (*TORSO, *ARMS, *LEGS) if joint not in (Keypoint.LEFT_ANKLE, Keypoint.RIGHT_WRIST)]
    assert settle(scattered_K3, right_K3, 0.4) == len(body)
    errors = [
        np.linalg.norm(points_K3[body, :2] - right_K3[body, :2], axis=1) for points_K3 in (before_K3, scattered_K3)
    ]
    assert errors[1] == pytest.approx(errors[0] / 4, rel=1e-3)
    others = [joint for joint in range(17) if joint not in body]
    assert np.array_equal(scattered_K3[others], before_K3[others])
