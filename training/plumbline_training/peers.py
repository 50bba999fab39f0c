"""Models of others behind our interface, so that they are measured as ours are. Axes: N crops, K keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plumbline_contract.box import Box, invert_affine, transform_points
from plumbline_contract.manifest import Precision, Stage
from plumbline_contract.preprocess import Image, extract_crop
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.errors import UnsupportedModel
from plumbline_training.predictors import TFLiteModel


class MoveNet:
    """MoveNet single-pose: a square crop of RGB 0-255 in, (1, 1, 17, 3) y, x, score as parts of the crop out."""

    OUTPUT_SHAPE = (1, 1, NUM_KEYPOINTS, 3)
    stage: Stage = "tflite"

    def __init__(self, path: Path, threads: int = 2, box_padding: float = 1.1) -> None:
        self._model = TFLiteModel(path, threads)
        self._size = self._model.input_shape[1]
        if self._model.input_shape != (1, self._size, self._size, 3) or self._model.output_shape != self.OUTPUT_SHAPE:
            raise UnsupportedModel(
                f"{str(path)!r} takes {self._model.input_shape} and gives {self._model.output_shape}: no single-pose "
                f"MoveNet"
            )
        self._box_padding = box_padding
        self.precision: Precision = "int8" if self._model.input_dtype == "uint8" else "fp16"

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        return np.stack([self._one(image_bgr_HW3, box.padded(self._box_padding)) for box in boxes])

    def _one(self, image_bgr_HW3: Image, box: Box) -> npt.NDArray[np.float32]:
        crop_HW3, matrix_23 = extract_crop(image_bgr_HW3, box, self._size, self._size)
        yxs_K3 = self._model(crop_HW3[None].astype(self._model.input_dtype))[0, 0]
        points_K2 = transform_points(invert_affine(matrix_23), yxs_K3[:, 1::-1] * self._size - 0.5)
        return np.concatenate([points_K2, yxs_K3[:, 2:]], axis=1).astype(np.float32)


class BlazePose:
    """BlazePose's landmark model: a square crop of RGB in [0, 1] in, 39 landmarks of x, y, z, visibility, presence out.

    Its own pipeline turns the crop upright and centres it between the hips with room for the whole body around; here
    the crop is the person's padded box, square and unturned.
    """

    OUTPUT_SHAPE = (1, 195)
    LANDMARKS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
    """Of COCO's keypoints among BlazePose's 33, in COCO's order."""
    stage: Stage = "tflite"
    precision: Precision = "fp16"

    def __init__(self, path: Path, threads: int = 2, box_padding: float = 1.25) -> None:
        self._model = TFLiteModel(path, threads)
        self._size = self._model.input_shape[1]
        if self._model.output_shape != self.OUTPUT_SHAPE:
            raise UnsupportedModel(f"{str(path)!r} gives {self._model.output_shape}: no BlazePose landmark model")
        self._box_padding = box_padding

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        return np.stack([self._one(image_bgr_HW3, box.padded(self._box_padding)) for box in boxes])

    def _one(self, image_bgr_HW3: Image, box: Box) -> npt.NDArray[np.float32]:
        crop_HW3, matrix_23 = extract_crop(image_bgr_HW3, box, self._size, self._size)
        landmarks = self._model(crop_HW3[None].astype(np.float32) / 255).reshape(-1, 5)[list(self.LANDMARKS)]
        points_K2 = transform_points(invert_affine(matrix_23), landmarks[:, :2] - 0.5)
        visible_K = 1 / (1 + np.exp(-landmarks[:, 3]))
        return np.concatenate([points_K2, visible_K[:, None]], axis=1).astype(np.float32)
