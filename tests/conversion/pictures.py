"""Pictures of one bright spot, which the mini HRNet takes for all 17 keypoints."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from plumbline_contract.preprocess import Image

HEIGHT, WIDTH = 96, 72


def spot_picture(random: np.random.Generator) -> Image:
    """A dark, slightly noisy picture (HEIGHT, WIDTH, 3) with one soft bright spot."""
    x, y = random.uniform(12, WIDTH - 12), random.uniform(12, HEIGHT - 12)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    spot = 220 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 6.0**2))
    noise = random.uniform(0, 20, (HEIGHT, WIDTH, 3))
    return np.asarray(spot[..., None] + noise, dtype=np.uint8)


def write_pictures(folder: Path, count: int) -> Path:
    """A folder of spot pictures and a text file that is none of them."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03}.png"), spot_picture(random))
    (folder / "notes.txt").write_text("not an image", encoding="utf-8")
    return folder


def write_video(path: Path, frames: int) -> Path:
    """A video of spot pictures."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    random = np.random.default_rng(1)
    for _ in range(frames):
        writer.write(spot_picture(random))
    writer.release()
    return path


def write_annotations(path: Path, images: int, **changes: object) -> Path:
    """A COCO json with one person to a picture of `write_pictures`; `changes` go into every annotation."""
    person = {"bbox": [10, 20, 40, 60], "num_keypoints": 17, "iscrowd": 0, "category_id": 1}
    content = {
        "images": [{"id": number, "file_name": f"{number:03}.png"} for number in range(images)],
        "annotations": [{**person, "id": number, "image_id": number, **changes} for number in range(images)],
        "categories": [{"id": 1, "name": "person"}],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
