"""Decoding against slow references written with plain loops, and against places that are known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from tests.contract import references

from plumbline_contract.box import Box, affine_matrix, invert_affine, transform_points
from plumbline_contract.decode import (
    DARK_BLUR_SIGMA,
    DECODERS,
    SMOOTHED_SIGMA,
    DecodeMethod,
    decode,
    decode_argmax,
    decode_blob,
    decode_dark,
    decode_smoothed,
    decode_soft_argmax,
    heatmap_to_input,
)

Reference = Callable[[references.Map], tuple[float, float, float]]
REFERENCES: dict[DecodeMethod, Reference] = {
    "argmax": references.argmax_quarter,
    "dark": lambda values_HW: references.dark(values_HW, DARK_BLUR_SIGMA),
    "smoothed": lambda values_HW: references.smoothed(values_HW, SMOOTHED_SIGMA),
    "soft_argmax": references.soft_argmax,
    "blob": references.blob,
}
TOLERANCE_PX: dict[DecodeMethod, float] = {
    "argmax": 1e-6,
    "dark": 2e-3,
    "smoothed": 2e-3,
    "soft_argmax": 1e-4,
    "blob": 1e-4,
}
"""DARK and its like blur in float32 and take differences of logarithms of it, hence their wider tolerance."""


def gaussian(x: float, y: float, height: int = 32, width: int = 24, sigma: float = 2.0) -> npt.NDArray[np.float64]:
    rows, columns = np.mgrid[:height, :width]
    return np.asarray(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)))


def disc(x: float, y: float, radius: float = 4.0, height: int = 32, width: int = 24) -> npt.NDArray[np.float64]:
    rows, columns = np.mgrid[:height, :width]
    return np.asarray(np.hypot(columns - x, rows - y) <= radius, dtype=np.float64)


def assorted_maps() -> npt.NDArray[np.float32]:
    """Peaks anywhere, also at the border and in the corners; two peaks; noise; plateaus; nothing; negative."""
    rng = np.random.default_rng(0)
    places = [(12.3, 7.8), (0.0, 15.0), (23.0, 31.0), (-0.4, -0.3), (11.5, 0.4), (22.6, 16.4), (5.0, 20.0)]
    maps = [gaussian(x, y) for x, y in places]
    maps.append(0.8 * gaussian(5, 6) + 0.7 * gaussian(17, 25))
    maps.append(gaussian(10.2, 10.7) + rng.normal(0, 0.05, (32, 24)))
    maps.append(rng.random((32, 24)))
    maps.append(disc(12, 14) + 0.6 * disc(3, 28))
    maps.append(np.zeros((32, 24)))
    maps.append(gaussian(4, 4) - 2.0)
    return np.stack(maps).astype(np.float32)


@pytest.mark.parametrize("method", DECODERS)
def test_decoders_equal_their_references(method: DecodeMethod) -> None:
    maps_NHW = assorted_maps()
    decoded_N3 = DECODERS[method](maps_NHW)
    for item, values_HW in enumerate(maps_NHW):
        expected = REFERENCES[method](values_HW.astype(np.float64))
        np.testing.assert_allclose(decoded_N3[item], expected, atol=TOLERANCE_PX[method], err_msg=f"map {item}")


@pytest.mark.parametrize("method", DECODERS)
def test_leading_axes_and_any_number_of_maps(method: DecodeMethod) -> None:
    maps_NHW = np.resize(assorted_maps(), (2 * 3 * 17, 32, 24)).astype(np.float32)
    stacked = DECODERS[method](maps_NHW.reshape(2, 3, 17, 32, 24))
    assert stacked.shape == (2, 3, 17, 3)
    assert stacked.dtype == np.float32
    singly = np.concatenate([DECODERS[method](values_HW[None]) for values_HW in maps_NHW])
    np.testing.assert_allclose(stacked.reshape(-1, 3), singly, atol=1e-5)


def test_dark_finds_a_gaussian_to_a_hundredth_of_a_pixel_and_argmax_to_a_quarter() -> None:
    rng = np.random.default_rng(1)
    places_N2 = rng.uniform([7, 7], [16, 24], (200, 2))
    maps_NHW = np.stack([gaussian(x, y) for x, y in places_N2]).astype(np.float32)
    assert np.abs(decode_dark(maps_NHW)[:, :2] - places_N2).max() < 0.01
    assert np.abs(decode_argmax(maps_NHW)[:, :2] - places_N2).max() <= 0.25 + 1e-6


def test_a_lone_spike_beside_a_hill_misleads_dark_alone() -> None:
    map_HW = 0.8 * gaussian(9.3, 12.6)
    map_HW[26, 18] = 1.0
    assert np.hypot(*(decode_dark(map_HW[None])[0, :2] - (18, 26))) < 1
    np.testing.assert_allclose(decode_smoothed(map_HW[None])[0], (9.3, 12.6, 1), atol=0.02)


def test_blob_finds_a_disc_and_ignores_another() -> None:
    decoded = decode_blob((disc(9, 11, radius=6) + 0.9 * disc(19, 27, radius=3)).astype(np.float32)[None])
    np.testing.assert_allclose(decoded[0], (9, 11, 1), atol=1e-5)


def test_soft_argmax_finds_a_sharp_gaussian_of_logits() -> None:
    rows, columns = np.mgrid[:32, :24]
    logits = -((columns - 10.3) ** 2 + (rows - 14.6) ** 2) / 2
    np.testing.assert_allclose(decode_soft_argmax(logits[None])[0, :2], (10.3, 14.6), atol=1e-3)


def test_scores_of_all_but_soft_argmax_are_the_peak() -> None:
    maps_NHW = assorted_maps()
    for method in ("argmax", "dark", "smoothed", "blob"):
        np.testing.assert_array_equal(DECODERS[method](maps_NHW)[:, 2], maps_NHW.max(axis=(1, 2)))


def input_to_heatmap(points_N2: npt.NDArray[np.floating], stride: float) -> npt.NDArray[np.floating]:
    """Crop pixels to heatmap pixels whose centres lie over those of what they cover."""
    return (points_N2 + 0.5) / stride - 0.5


def test_heatmap_and_input_pixels_undo_each_other_and_share_their_edges() -> None:
    points = np.random.default_rng(2).uniform(-5, 60, (50, 2))
    np.testing.assert_allclose(input_to_heatmap(heatmap_to_input(points, 4), 4), points)
    assert heatmap_to_input(np.array([-0.5]), 4.0) == pytest.approx(-0.5)  # the left edge of pixel 0
    assert heatmap_to_input(np.array([47.5]), 4.0) == pytest.approx(191.5)  # the right edge of 48 pixels is that of 192


@pytest.mark.parametrize(("method", "tolerance"), [("dark", 0.02), ("smoothed", 0.02), ("argmax", 0.26)])
def test_places_in_a_picture_survive_the_way_through_a_turned_crop(method: DecodeMethod, tolerance: float) -> None:
    """Picture -> crop -> heatmap -> decode -> picture, for boxes of many sizes and angles; heatmap pixels an axis."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        centre_x, centre_y, width, height, angle_degrees = rng.uniform(
            [100, 100, 80, 80, -180], [500, 500, 400, 400, 180]
        )
        matrix_23 = affine_matrix(Box(centre_x, centre_y, width, height, angle_degrees), 128, 96)
        input_K2 = rng.uniform(30, [65, 97], (17, 2))
        image_K2 = transform_points(invert_affine(matrix_23), input_K2)
        maps_KHW = np.stack([gaussian(x, y) for x, y in input_to_heatmap(input_K2, 4.0)]).astype(np.float32)
        decoded_K3 = decode(maps_KHW, method, 4.0, matrix_23)
        heatmap_pixel = 4 / math.hypot(*matrix_23[:, 0])
        distance_K = np.hypot(*(decoded_K3[:, :2] - image_K2).T)
        assert distance_K.max() < tolerance * math.sqrt(2) * heatmap_pixel


def test_a_border_peak_is_not_refined() -> None:
    decoded = decode_dark(gaussian(-0.4, 12.4).astype(np.float32)[None])
    np.testing.assert_array_equal(decoded[0, :2], (0, 12))
