"""Labels pictures from videos of one person by what a teacher sees in them, where it sees the same twice.

`python -m plumbline_training.video_teacher push-ups/*.mp4 --teacher movenet-thunder.tflite --out data/push-ups`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.box import Box, box_from_keypoints
from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import KEYPOINT_NAMES
from plumbline_training.checkpoint import write_atomically
from plumbline_training.cli import run_command
from plumbline_training.errors import InvalidDataset, InvalidSettings
from plumbline_training.label_noise import person_size
from plumbline_training.models import load_predictor
from plumbline_training.predictors import Predictor
from plumbline_training.teacher import BODY_MARGIN, LOOK_MARGIN, body_bbox, both_looks, look_twice, mean_of_looks

APART: Final = 0.1
"""Looks at a joint that lie further apart than this part of the person's size are no label."""
MIN_JOINTS: Final = 8
"""A picture in which the teacher is sure of fewer is left out, and the person is sought in the whole next one."""
JPEG_QUALITY: Final = 95


def pictures(clip: Path, every: int) -> Iterator[tuple[int, Image]]:
    """Every so many frames of a video, each with its number. Raises InvalidDataset where none can be read."""
    capture = cv2.VideoCapture(str(clip))
    number = 0
    while capture.grab():
        if number % every == 0:
            read, frame = capture.retrieve()
            if read:
                yield number, np.asarray(frame, np.uint8)
        number += 1
    capture.release()
    if number == 0:
        raise InvalidDataset(f"{str(clip)!r} has no frame that can be read; is it a video?")


def taught(teacher: Predictor, picture: Image, box: Box, min_score: float) -> npt.NDArray[np.float32]:
    """Keypoints (17, 3) as COCO labels: v is 2 where both looks are sure and agree, else x, y and v are 0."""
    looks = both_looks(teacher, picture, box)
    label_K3 = mean_of_looks(*looks)
    sure_K = label_K3[:, 2] >= min_score
    if sure_K.any():
        apart_K = np.linalg.norm(looks[0][:, :2] - looks[1][:, :2], axis=1)
        sure_K &= apart_K <= APART * person_size(label_K3[sure_K])
    label_K3[:, 2] = 2
    label_K3[~sure_K] = 0
    return label_K3


def follow(
    frames: Iterator[tuple[int, Image]], teacher: Predictor, min_score: float
) -> Iterator[tuple[int, Image, npt.NDArray[np.float32]]]:
    """The frames in which the teacher is sure of the person, with the labels; sought where the last frame had them."""
    box: Box | None = None
    for number, picture in frames:
        if box is None:
            whole = Box.whole_image(*picture.shape[:2])
            box = box_from_keypoints(look_twice(teacher, picture, whole), min_score / 2)
        if box is None:
            continue
        label_K3 = taught(teacher, picture, box.padded(LOOK_MARGIN), min_score)
        if (label_K3[:, 2] > 0).sum() < MIN_JOINTS:
            box = None
            continue
        box = box_from_keypoints(label_K3)
        yield number, picture, label_K3


def annotation(label_K3: npt.NDArray[np.float32], number: int) -> dict[str, Any]:
    """One person as COCO's keypoint json has it; the box is drawn around the joints."""
    box = box_from_keypoints(label_K3)
    assert box is not None
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "iscrowd": 0,
        "keypoints": [round(float(value), 2) for value in label_K3.reshape(-1)],
        "num_keypoints": int((label_K3[:, 2] > 0).sum()),
        "bbox": body_bbox(box),
        "area": round(box.width * box.height * BODY_MARGIN**2, 2),
    }


def label_clips(clips: Sequence[Path], teacher: Predictor, out: Path, every: int, min_score: float) -> None:
    """Write the labelled pictures of all clips, and person_keypoints.json last."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for clip in tqdm(clips, unit="clip", disable=None):
        for number, picture, label_K3 in follow(pictures(clip, every), teacher, min_score):
            name, height, width = f"{clip.stem}_{number:06d}.jpg", *picture.shape[:2]
            encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            write_atomically(encoded.tobytes(), out / "images" / name)
            images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
            annotations.append(annotation(label_K3, len(images)))
    if not images:
        raise InvalidDataset("the teacher is sure of nobody in these clips; try a lower --min-score")
    category = {"id": 1, "name": "person", "keypoints": list(KEYPOINT_NAMES)}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    write_atomically(json.dumps(content), out / "person_keypoints.json")
    tqdm.write(f"{len(images)} pictures of {len(clips)} clips")


def teach(arguments: argparse.Namespace) -> None:
    """Check what was asked for, then label."""
    if not 0 <= arguments.min_score <= 1:
        raise InvalidSettings(f"--min-score {arguments.min_score}: it must be 0 to 1")
    if arguments.every < 1:
        raise InvalidSettings(f"--every {arguments.every}: it must be 1 or more")
    stems = [clip.stem for clip in arguments.clips]
    if twice := {stem for stem in stems if stems.count(stem) > 1}:
        raise InvalidSettings(
            f"clips of one name, {sorted(twice)}: their pictures would replace one another; rename them"
        )
    label_clips(arguments.clips, load_predictor(arguments.teacher), arguments.out, arguments.every, arguments.min_score)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m plumbline_training.video_teacher",
        description="Make training pictures of videos that show one person: a teacher follows the person and looks at "
        "every picture and at its mirror image; what it is sure of in both, at one place, is the label.",
        epilog="example:\n  python -m plumbline_training.video_teacher push-ups/*.mp4 --teacher movenet-thunder.tflite "
        "--out data/push-ups",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP", help="video files")
    parser.add_argument("--teacher", type=Path, required=True, help="MoveNet .tflite or any model")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="images/ and person_keypoints.json")
    parser.add_argument("--every", type=int, default=3, metavar="N", help="take every Nth frame (default 3)")
    parser.add_argument("--min-score", type=float, default=0.4, help="teacher's least score for a label (default 0.4)")
    arguments = parser.parse_args()
    run_command(lambda: teach(arguments))


if __name__ == "__main__":
    main()
