"""Made data: stick figures whose keypoints are known, as a COCO keypoint dataset on disk."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.skeleton import KEYPOINT_NAMES, LIMBS

# A shell that starts the tests in the background has them ignore Ctrl-C, and so do the programs that they send it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# OpenCV reads it once, at the first video of the process: the edge's tests look at what a user sees on stderr.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

STANDING_K2 = np.array(
    [
        *[(0.5, 0.10), (0.53, 0.08), (0.47, 0.08), (0.56, 0.10), (0.44, 0.10)],
        *[(0.62, 0.24), (0.38, 0.24), (0.68, 0.38), (0.32, 0.38), (0.70, 0.52), (0.30, 0.52)],
        *[(0.58, 0.54), (0.42, 0.54), (0.59, 0.74), (0.41, 0.74), (0.60, 0.93), (0.40, 0.93)],
    ]
)

MakeDataset = Callable[[Path, int], Path]


def draw_figure(size: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """A picture (size, size, 3) with one figure, and its keypoints (K, 2) in pixels."""
    points_K2 = (STANDING_K2 + generator.normal(0, 0.015, STANDING_K2.shape)) * size * 0.9 + size * 0.05
    picture = np.full((size, size, 3), generator.integers(40, 120, 3), dtype=np.uint8)
    for index, (start, end) in enumerate(LIMBS):
        colour = cv2.cvtColor(np.array([[[index * 11, 255, 230]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
        ends = [tuple(int(value) for value in points_K2[joint].round()) for joint in (start, end)]
        cv2.line(picture, ends[0], ends[1], colour, max(2, size // 24))
    return picture, points_K2


def write_dataset(folder: Path, count: int, seed: int = 0, size: int = 96) -> Path:
    """Write pictures, annotations and a dataset list; returns the list's path."""
    generator = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        picture, points_K2 = draw_figure(size, generator)
        name = f"{number:04d}.jpg"
        cv2.imwrite(str(folder / "images" / name), picture)
        low, high = points_K2.min(axis=0) - 4, points_K2.max(axis=0) + 4
        keypoints = np.concatenate([points_K2, np.full((len(points_K2), 1), 2.0)], axis=1)
        images.append({"id": number, "file_name": name, "width": size, "height": size})
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "area": float(np.prod(high - low)) / 2,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "keypoints": keypoints.reshape(-1).tolist(),
                "num_keypoints": len(points_K2),
            }
        )
    categories = [{"id": 1, "name": "person", "keypoints": list(KEYPOINT_NAMES), "skeleton": []}]
    content = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    (folder / "person_keypoints.json").write_text(json.dumps(content), encoding="utf-8")
    entry = "{id: made, annotations: person_keypoints.json, images: images, terms: made by the tests}"
    (folder / "data.yaml").write_text(f"train:\n  - {entry}\nvalidation: {entry}\n", encoding="utf-8")
    return folder / "data.yaml"


@pytest.fixture(scope="session")
def make_dataset() -> MakeDataset:
    """Writes a dataset of so many stick figures into a folder; gives the path of its list."""
    return write_dataset
