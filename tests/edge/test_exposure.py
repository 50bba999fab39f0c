from __future__ import annotations

import numpy as np
import pytest

from plumbline_edge.exposure import DARK_BELOW, lift_dark


def shaded(mean: float) -> np.ndarray:
    """A crop (64, 48, 3) whose shades run evenly from 5 to about twice the mean."""
    row = np.linspace(5, 2 * mean - 5, 48)
    return np.tile(row[None, :, None], (64, 1, 3)).astype(np.uint8)


def test_light_crop_is_left_alone() -> None:
    crop = shaded(DARK_BELOW + 5)
    assert lift_dark(crop) is crop


@pytest.mark.parametrize("mean", [25, 40, 60])
def test_dark_crop_becomes_about_as_light_as_a_dim_one_in_the_same_order(mean: float) -> None:
    crop = shaded(mean)
    lifted = lift_dark(crop)
    assert lifted.mean() == pytest.approx(DARK_BELOW, abs=6)
    assert (np.diff(lifted[0, :, 0].astype(int)) >= 0).all()
    assert len(np.unique(lifted)) == len(np.unique(crop))


def test_borders_count_for_nothing() -> None:
    crop = shaded(100)
    crop[:, :36] = 0
    assert lift_dark(crop) is crop


@pytest.mark.parametrize("shade", [0, 3])
def test_black_picture_stays_black(shade: int) -> None:
    crop = np.full((64, 48, 3), shade, np.uint8)
    assert lift_dark(crop) is crop
