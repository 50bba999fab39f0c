"""Crops against a bilinear reference, and the table from bytes to the model's numbers."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from tests.contract import references

from plumbline_contract.box import Box, transform_points
from plumbline_contract.manifest import InputSpec, Quantisation
from plumbline_contract.preprocess import dequantise, extract_crop, input_lookup, to_tensor

INT8 = Quantisation(scale=0.0186, zero_point=-14)


def picture(height: int = 60, width: int = 80) -> npt.NDArray[np.uint8]:
    """Smooth, so that a small error of place is a small error of value."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


@pytest.mark.parametrize(
    "box",
    [
        Box(40, 30, 30, 40),
        Box(40, 30, 30, 40, 35),
        Box(38.3, 29.6, 61, 20, -110),
        Box(5, 3, 40, 50, 10),
        Box(79, 59, 25, 25, 180),
        Box(40, 30, 160, 160),
        Box(-100, -100, 20, 20),
    ],
)
def test_a_crop_is_what_bilinear_sampling_of_the_turned_box_gives(box: Box) -> None:
    image_bgr = picture()
    crop_rgb, _ = extract_crop(image_bgr, box, 32, 24)
    expected_bgr = references.crop(
        image_bgr, (box.centre_x, box.centre_y), (box.width, box.height), box.angle_degrees, 32, 24
    )
    error = np.abs(crop_rgb.astype(float) - expected_bgr[..., ::-1])
    # The warp may place a sample on a grid of 1/32 pixel; this picture changes by at most some 25 a pixel.
    assert error.max() <= 4
    assert error.mean() < 0.6


def test_a_crop_is_rgb_and_its_matrix_leads_to_its_pixels() -> None:
    image_bgr = np.zeros((50, 50, 3), np.uint8)
    image_bgr[20, 30] = (10, 20, 30)
    crop_rgb, matrix_23 = extract_crop(image_bgr, Box.whole_image(50, 50), 50, 50)
    x, y = transform_points(matrix_23, np.array([30.0, 20.0])).round().astype(int)
    np.testing.assert_array_equal(crop_rgb[y, x], (30, 20, 10))


def test_the_whole_picture_at_its_own_size_is_itself() -> None:
    image_bgr = picture()
    crop_rgb, matrix_23 = extract_crop(image_bgr, Box.whole_image(60, 80), 60, 80)
    np.testing.assert_array_equal(crop_rgb, image_bgr[..., ::-1])
    np.testing.assert_allclose(matrix_23, [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_float_input_is_normalised_byte_by_byte() -> None:
    spec = InputSpec(height=64, width=64)
    table = input_lookup(spec)
    assert table.shape == (256, 3)
    assert table.dtype == np.float32
    for byte in (0, 1, 127, 255):
        for channel in range(3):
            expected = (byte / 255 - spec.mean[channel]) / spec.std[channel]
            assert table[byte, channel] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -14), ("uint8", 114)])
def test_quantised_input_is_the_nearest_step_within_the_range(dtype: str, zero_point: int) -> None:
    quantisation = Quantisation(scale=0.0186, zero_point=zero_point)
    fields = {"height": 64, "width": 64, "dtype": dtype, "quantisation": quantisation}
    table = input_lookup(InputSpec.model_validate(fields))
    real = input_lookup(InputSpec(height=64, width=64)).astype(np.float64)
    assert table.dtype == np.dtype(dtype)
    limits = np.iinfo(dtype)
    for byte in range(256):
        for channel in range(3):
            step = real[byte, channel] / quantisation.scale + zero_point
            if limits.min <= step <= limits.max:
                assert abs(table[byte, channel] - step) <= 0.5 + 1e-4
            else:
                assert table[byte, channel] == (limits.min if step < limits.min else limits.max)
    restored = dequantise(table, quantisation.scale, zero_point)
    inside = (table > limits.min) & (table < limits.max)
    assert np.abs(restored - real)[inside].max() <= quantisation.scale / 2 + 1e-5


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("quantisation", [None, INT8])
def test_tensors_look_up_every_pixel_in_either_layout(layout: str, quantisation: Quantisation | None) -> None:
    fields = {"height": 32, "width": 32, "layout": layout, "quantisation": quantisation}
    spec = InputSpec.model_validate(fields | {"dtype": "int8" if quantisation else "float32"})
    crops = np.random.default_rng(1).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    tensor, table = to_tensor(crops, spec), input_lookup(spec)
    assert tensor.shape == ((2, 5, 7, 3) if layout == "NHWC" else (2, 3, 5, 7))
    assert tensor.dtype == table.dtype
    for item, row, column, channel in np.ndindex(crops.shape):
        place = (item, row, column, channel) if layout == "NHWC" else (item, channel, row, column)
        assert tensor[place] == table[crops[item, row, column, channel], channel]


def test_dequantising_is_the_difference_from_the_zero_point_in_steps() -> None:
    restored = dequantise(np.array([-128, -14, 127], np.int8), 0.5, -14)
    np.testing.assert_array_equal(restored, np.array([-57, 0, 70.5], np.float32))
    assert restored.dtype == np.float32
