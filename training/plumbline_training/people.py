"""From a bottom-up net's output to people, and their AP without boxes. Axes: P people, K keypoints, C, H, W."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.box import Box, invert_affine, transform_points
from plumbline_contract.decode import heatmap_to_input
from plumbline_contract.preprocess import Image, extract_crop
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.centre_net import MAPS
from plumbline_training.crops import read_path
from plumbline_training.datasets import Dataset
from plumbline_training.errors import InvalidDataset
from plumbline_training.evaluate import Evaluation, Found, score
from plumbline_training.predictors import HeatmapModel
from plumbline_training.scenes import MAX_PEOPLE

MIN_CENTRE = 0.05
MIN_KEYPOINT = 0.1
"""A keypoint map lower than this near the place that the centre points to leaves the place as it is."""
SNAP = 0.1
"""How far a keypoint is looked for around that place, as a part of the person's size."""


@dataclass(frozen=True)
class PeoplePredictor:
    """Everybody in a picture, from one look at the whole of it."""

    model: HeatmapModel
    """RGB pictures (N, H, W, 3) uint8 -> (N, C, h, w) as CentreNet gives them."""
    height: int
    width: int
    stride: float

    def __call__(self, image_bgr_HW3: Image) -> npt.NDArray[np.float32]:
        """Keypoints (P, K, 3): x, y in image pixels and a score, the surest person first."""
        height, width = image_bgr_HW3.shape[:2]
        whole = Box((width - 1) / 2, (height - 1) / 2, width, height)
        picture_HW3, matrix_23 = extract_crop(image_bgr_HW3, whole, self.height, self.width)
        people_PK3 = decode_people(self.model(picture_HW3[None])[0])
        points = heatmap_to_input(people_PK3[..., :2].reshape(-1, 2), self.stride)
        people_PK3[..., :2] = transform_points(invert_affine(matrix_23), points).reshape(-1, NUM_KEYPOINTS, 2)
        return people_PK3.astype(np.float32)


def decode_people(outputs_CHW: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Keypoints (P, K, 3) in heatmap pixels and a score: the centre's times the keypoint map's."""
    centre_HW = outputs_CHW[0].astype(np.float32)
    peaks_HW = (centre_HW == cv2.dilate(centre_HW, np.ones((3, 3), np.uint8))) & (centre_HW >= MIN_CENTRE)
    rows, columns = np.nonzero(peaks_HW)
    order = np.argsort(-centre_HW[rows, columns], kind="stable")[:MAX_PEOPLE]
    people_PK3 = np.zeros((len(order), NUM_KEYPOINTS, 3))
    for number, (row, column) in enumerate(zip(rows[order], columns[order], strict=True)):
        offsets_K2 = outputs_CHW[MAPS:, row, column].reshape(NUM_KEYPOINTS, 2)
        points_K2 = offsets_K2 + np.array([column, row])
        reach = max(1.0, SNAP * float(np.ptp(points_K2, axis=0).max()))
        for keypoint, point_2 in enumerate(points_K2):
            place, value = _snapped(outputs_CHW[1 + keypoint], point_2, reach)
            people_PK3[number, keypoint] = (*place, value * centre_HW[row, column])
    return people_PK3


def _snapped(
    map_HW: npt.NDArray[np.floating], point_2: npt.NDArray[np.floating], reach: float
) -> tuple[tuple[float, float], float]:
    """The highest place of the map within `reach`, and its value; the point itself where the map says nothing."""
    height, width = map_HW.shape
    left, top = (max(0, int(np.ceil(value - reach))) for value in point_2)
    right, bottom = min(width, int(point_2[0] + reach) + 1), min(height, int(point_2[1] + reach) + 1)
    window = map_HW[top:bottom, left:right]
    if not window.size or window.max() < MIN_KEYPOINT:
        return (float(point_2[0]), float(point_2[1])), MIN_KEYPOINT
    row, column = np.unravel_index(int(window.argmax()), window.shape)
    return (float(left + column), float(top + row)), float(window[row, column])


def evaluate_people(
    dataset: Dataset, predictor: PeoplePredictor, intervals: bool = True, quiet: bool = False
) -> Evaluation:
    """AP and AR of everybody found, without boxes."""
    return score(dataset, find_people(dataset, predictor, quiet), "none", intervals=intervals)


def find_people(dataset: Dataset, predictor: PeoplePredictor, quiet: bool = False) -> list[Found]:
    """Everybody in every picture of the dataset."""
    found: list[Found] = []
    files = dataset.pictures
    for number, path in tqdm(files.items(), desc="evaluate", unit="picture", disable=quiet or None, leave=False):
        image = read_path(path)
        if image is None:
            raise InvalidDataset(f"{str(path)!r} cannot be decoded; fetch it again")
        found += [Found(number, keypoints_K3, float(keypoints_K3[:, 2].mean())) for keypoints_K3 in predictor(image)]
    return found
