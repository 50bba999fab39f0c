"""Fills keypoints that a dataset does not label from a teacher, and tightens boxes to the joints.

`python -m plumbline_training.teacher IN.json IMAGES OUT.json --teacher movenet-thunder.tflite`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.box import box_from_keypoints
from plumbline_contract.skeleton import FACE, NUM_KEYPOINTS
from plumbline_training.errors import InvalidDataset
from plumbline_training.predictors import MoveNet

BODY_MARGIN = 1.15
"""COCO's boxes hold the whole body; this much wider than the joints' own box matches them."""


def fill(labelled_K3: npt.NDArray[np.float32], taught_K3: npt.NDArray[np.float32], min_score: float) -> None:
    """Give unlabelled face keypoints the teacher's place where it is sure, in place; other joints are left alone."""
    for keypoint in FACE:
        if labelled_K3[keypoint, 2] == 0 and taught_K3[keypoint, 2] >= min_score:
            labelled_K3[keypoint] = (*taught_K3[keypoint, :2], 2)


def agrees(labelled_K3: npt.NDArray[np.float32], taught_K3: npt.NDArray[np.float32], tolerance: float = 0.25) -> bool:
    """Whether the teacher looks at the same person: half of the labelled joints lie within `tolerance` of the size."""
    labelled = labelled_K3[:, 2] > 0
    points_K2 = labelled_K3[labelled, :2]
    size = float(np.linalg.norm(np.ptp(points_K2, axis=0)))
    return bool(np.median(np.linalg.norm(points_K2 - taught_K3[labelled, :2], axis=1)) < tolerance * size)


def relabel(item: dict[str, Any], image: Path, teacher: MoveNet, min_score: float) -> dict[str, Any]:
    """One annotation with its face filled and its box drawn around the joints."""
    picture = cv2.imread(str(image), cv2.IMREAD_COLOR)
    if picture is None:
        raise InvalidDataset(f"{str(image)!r} cannot be decoded; fetch it again")
    keypoints_K3 = np.array(item["keypoints"], np.float32).reshape(NUM_KEYPOINTS, 3)
    box = box_from_keypoints(keypoints_K3)
    if box is None:
        return item
    taught_K3 = teacher(np.asarray(picture, np.uint8), [box.padded(1.3)])[0]
    if agrees(keypoints_K3, taught_K3):
        fill(keypoints_K3, taught_K3, min_score)
    box = (box_from_keypoints(keypoints_K3) or box).padded(BODY_MARGIN)
    left, top = box.centre_x - (box.width - 1) / 2, box.centre_y - (box.height - 1) / 2
    return {
        **item,
        "keypoints": [round(float(value), 2) for value in keypoints_K3.reshape(-1)],
        "num_keypoints": int((keypoints_K3[:, 2] > 0).sum()),
        "bbox": [round(value, 2) for value in (left, top, box.width, box.height)],
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m plumbline_training.teacher", description=__doc__)
    parser.add_argument("annotations", type=Path, help="COCO keypoint file")
    parser.add_argument("images", type=Path, help="folder of its pictures")
    parser.add_argument("out", type=Path, help="COCO keypoint file to write")
    parser.add_argument("--teacher", type=Path, required=True, help="MoveNet .tflite")
    parser.add_argument("--min-score", type=float, default=0.4, help="teacher's least score for a label (default 0.4)")
    parser.add_argument(
        "--hold-out", type=int, default=0, metavar="N", help="put the last N pictures into OUT.held-out"
    )
    arguments = parser.parse_args()
    content = json.loads(arguments.annotations.read_text(encoding="utf-8"))
    files = {image["id"]: arguments.images / image["file_name"] for image in content["images"]}
    teacher = MoveNet(arguments.teacher)
    content["annotations"] = [
        relabel(item, files[item["image_id"]], teacher, arguments.min_score)
        for item in tqdm(content["annotations"], unit="person")
    ]
    split = len(content["images"]) - arguments.hold_out
    for path, images in (
        (arguments.out, content["images"][:split]),
        (arguments.out.with_suffix(".held-out.json"), content["images"][split:]),
    ):
        if images:
            kept = {image["id"] for image in images}
            persons = [item for item in content["annotations"] if item["image_id"] in kept]
            part = {**content, "images": images, "annotations": persons}
            path.write_text(json.dumps(part), encoding="utf-8")


if __name__ == "__main__":
    main()
