"""From a picture and a box to the tensor a model takes: one implementation for training, conversion and the edge."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.box import Box, affine_matrix
from plumbline_contract.manifest import InputSpec

Image = npt.NDArray[np.uint8]

_JPEG_START = b"\xff\xd8"
_JPEG_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""What begins a segment; in the picture's data FF is followed by 00 or by one of the restarts D0 to D7."""
_JPEG_END, _JPEG_ALONE = 0xD9, (0x01, 0xD8)


def decode_picture(encoded: bytes) -> Image | None:
    """A picture in BGR. None for what is no picture, and for a JPEG without its end: decoders fill that with grey."""
    if not encoded or (encoded.startswith(_JPEG_START) and not _has_end(encoded)):
        return None
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, dtype=np.uint8)


def _has_end(jpeg: bytes) -> bool:
    """Whether the picture's own end is there: that of a thumbnail within a segment is none, and much may follow it."""
    at = len(_JPEG_START)
    while (marker := _JPEG_MARKER.search(jpeg, at)) is not None:
        at, kind = marker.end(), jpeg[marker.end() - 1]
        if kind == _JPEG_END:
            return True
        if kind not in _JPEG_ALONE:
            at += int.from_bytes(jpeg[at : at + 2], "big")
    return False


def extract_crop(
    image_bgr_HW3: Image, box: Box, input_height: int, input_width: int
) -> tuple[Image, npt.NDArray[np.float64]]:
    """Warp the box out of a BGR picture (OpenCV's order) into an RGB crop.

    Returns the crop (input_height, input_width, 3) uint8 and the (2, 3) matrix from image to crop pixels. What lies
    outside the picture is black. The box is used as given: pad it first (`Box.padded(spec.box_padding)`).
    """
    matrix_23 = affine_matrix(box, input_height, input_width)
    crop_bgr = cv2.warpAffine(image_bgr_HW3, matrix_23, (input_width, input_height), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8), matrix_23


def input_lookup(spec: InputSpec) -> npt.NDArray[Any]:
    """The (256, 3) table from an RGB byte to the model's input number: [0, 1], mean and std, then quantisation.

    A byte has 256 values, so the arithmetic is done once per value instead of once per pixel.
    """
    values = np.arange(256, dtype=np.float64)[:, None] / 255.0
    normalised = (values - np.array(spec.mean)) / np.array(spec.std)
    if spec.quantisation is None:
        return np.asarray(normalised, dtype=np.float32)
    limits = np.iinfo(spec.dtype)
    steps = np.rint(normalised / spec.quantisation.scale) + spec.quantisation.zero_point
    return np.asarray(np.clip(steps, limits.min, limits.max), dtype=spec.dtype)


def to_tensor(crops_rgb_NHW3: Image, spec: InputSpec) -> npt.NDArray[Any]:
    """RGB crops (N, H, W, 3) uint8 as the model's input: (N, H, W, 3) or (N, 3, H, W), float32, uint8 or int8."""
    rows_RW3 = crops_rgb_NHW3.reshape(-1, crops_rgb_NHW3.shape[2], 3)
    tensors_NHW3 = np.asarray(cv2.LUT(rows_RW3, input_lookup(spec)[None])).reshape(crops_rgb_NHW3.shape)
    return tensors_NHW3 if spec.layout == "NHWC" else np.ascontiguousarray(np.moveaxis(tensors_NHW3, -1, 1))


def dequantise(tensor: npt.NDArray[Any], scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """Integers of a quantised tensor as the real numbers they stand for."""
    return np.asarray((tensor.astype(np.float32) - np.float32(zero_point)) * np.float32(scale))
