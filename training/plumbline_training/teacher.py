"""Fills keypoints that a dataset does not label from teachers, mends noisy ones and draws boxes around the joints.

`python -m plumbline_training.teacher IN.json IMAGES OUT.json --teacher movenet-thunder.tflite`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.box import Box, box_from_keypoints
from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import FACE, MIRROR, NUM_KEYPOINTS
from plumbline_training.checkpoint import write_atomically
from plumbline_training.cli import run_command
from plumbline_training.crops import read_path
from plumbline_training.errors import InvalidDataset, InvalidSettings
from plumbline_training.label_noise import drop_unbelieved, exchange_sides, exchanged, person_size, settle
from plumbline_training.models import load_predictor
from plumbline_training.predictors import Predictor

BODY_MARGIN = 1.15
"""COCO's boxes hold the whole body; this much wider than the joints' own box matches them."""
LOOK_MARGIN = 1.3
"""A teacher looks at a box this much wider than the joints' own."""


@dataclass
class Tally:
    """What was changed in a file."""

    persons: int = 0
    unseen: int = 0
    """Persons of whom no teacher sees what is labelled: left as they were."""
    filled: int = 0
    exchanged: int = 0
    dropped: int = 0
    settled: int = 0

    def __str__(self) -> str:
        return (
            f"{self.persons} persons: {self.filled} face keypoints filled, {self.exchanged} joints had left and right "
            f"exchanged, {self.dropped} joints dropped, {self.settled} moved to where a teacher sees "
            f"them; no teacher sees {self.unseen} persons as they are labelled"
        )


def fill(labelled_K3: npt.NDArray[np.float32], taught_K3: npt.NDArray[np.float32], min_score: float) -> int:
    """Give unlabelled face keypoints the teacher's place where it is sure, in place; other joints are left alone."""
    filled = 0
    for keypoint in FACE:
        if labelled_K3[keypoint, 2] == 0 and taught_K3[keypoint, 2] >= min_score:
            labelled_K3[keypoint] = (*taught_K3[keypoint, :2], 2)
            filled += 1
    return filled


def both_looks(teacher: Predictor, picture: Image, box: Box) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A teacher's keypoints (K, 3) in a picture and, brought back, in its mirror image."""
    last_x = picture.shape[1] - 1
    as_is_K3 = teacher(picture, [box])[0]
    mirrored_box = replace(box, centre_x=last_x - box.centre_x)
    mirrored_K3 = teacher(np.ascontiguousarray(picture[:, ::-1]), [mirrored_box])[0][list(MIRROR)]
    mirrored_K3[:, 0] = last_x - mirrored_K3[:, 0]
    return as_is_K3, mirrored_K3


def mean_of_looks(as_is_K3: npt.NDArray[np.float32], mirrored_K3: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Both looks' mean; the lower score of both."""
    both_K3 = (as_is_K3 + mirrored_K3) / 2
    both_K3[:, 2] = np.minimum(as_is_K3[:, 2], mirrored_K3[:, 2])
    return np.asarray(both_K3, np.float32)


def look_twice(teacher: Predictor, picture: Image, box: Box) -> npt.NDArray[np.float32]:
    """A teacher's keypoints (K, 3), averaged with those of the mirrored picture; the lower score of both."""
    return mean_of_looks(*both_looks(teacher, picture, box))


def body_bbox(joints: Box) -> list[float]:
    """COCO's (left, top, width, height) of a body with this box around its joints."""
    box = joints.padded(BODY_MARGIN)
    left, top = box.centre_x - (box.width - 1) / 2, box.centre_y - (box.height - 1) / 2
    return [round(value, 2) for value in (left, top, box.width, box.height)]


def agrees(labelled_K3: npt.NDArray[np.float32], taught_K3: npt.NDArray[np.float32], tolerance: float = 0.25) -> bool:
    """Whether the teacher looks at the same person: half of the labelled joints lie within `tolerance` of the size.

    Labels whose sides are exchanged are those of the same person.
    """
    labelled = labelled_K3[:, 2] > 0
    medians = [
        float(np.median(np.linalg.norm(points_K3[labelled, :2] - taught_K3[labelled, :2], axis=1)))
        for points_K3 in (labelled_K3, exchanged(labelled_K3))
    ]
    return min(medians) < tolerance * person_size(labelled_K3)


def relabel(
    item: dict[str, Any], image: Path, teachers: Sequence[Predictor], min_score: float, mend: bool, tally: Tally
) -> dict[str, Any]:
    """One annotation with its face filled, with `mend` its noise mended, and its box drawn around the joints."""
    picture = read_path(image)
    if picture is None:
        raise InvalidDataset(f"{str(image)!r} cannot be decoded; fetch it again")
    keypoints_K3 = np.array(item["keypoints"], np.float32).reshape(NUM_KEYPOINTS, 3)
    tally.persons += 1
    box = box_from_keypoints(keypoints_K3)
    if box is None:
        return item
    seen = [look_twice(teacher, picture, box.padded(LOOK_MARGIN)) for teacher in teachers]
    opinions = [taught_K3 for taught_K3 in seen if agrees(keypoints_K3, taught_K3)]
    tally.unseen += not opinions
    if opinions and mend:
        tally.exchanged += exchange_sides(keypoints_K3, opinions[0], min_score)
        tally.dropped += drop_unbelieved(keypoints_K3, opinions, min_score)
        tally.settled += settle(keypoints_K3, opinions[0], min_score)
    if opinions:
        tally.filled += fill(keypoints_K3, opinions[0], min_score)
    return {
        **item,
        "keypoints": [round(float(value), 2) for value in keypoints_K3.reshape(-1)],
        "num_keypoints": int((keypoints_K3[:, 2] > 0).sum()),
        "bbox": body_bbox(box_from_keypoints(keypoints_K3) or box),
    }


def _content(path: Path) -> dict[str, Any]:
    """A COCO keypoint file whose annotations are whole enough to relabel. Raises InvalidDataset."""
    try:
        content = json.loads(path.read_bytes())
        numbers = {image["id"] for image in content["images"] if isinstance(image["file_name"], str)}
        whole = all(
            item["image_id"] in numbers and len(item["keypoints"]) == 3 * NUM_KEYPOINTS
            for item in content["annotations"]
        )
    except OSError as error:
        raise InvalidDataset(f"{str(path)!r}: {error.strerror}; name a COCO keypoint file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidDataset(f"{str(path)!r} is no COCO keypoint file ({error!r})") from error
    if not whole:
        raise InvalidDataset(f"{str(path)!r}: an annotation has no listed picture or not 51 keypoint numbers")
    return dict(content)


def _part(content: dict[str, Any], images: list[dict[str, Any]]) -> str:
    kept = {image["id"] for image in images}
    persons = [item for item in content["annotations"] if item["image_id"] in kept]
    return json.dumps({**content, "images": images, "annotations": persons})


def teach(arguments: argparse.Namespace) -> None:
    """Relabel a file and write the result, the held-out pictures first: OUT says that both are there."""
    content = _content(arguments.annotations)
    count = len(content["images"])
    if not 0 <= arguments.hold_out < count:
        raise InvalidSettings(f"--hold-out {arguments.hold_out}: it must be 0 to {count - 1}, of {count} pictures")
    if not 0 <= arguments.min_score <= 1:
        raise InvalidSettings(f"--min-score {arguments.min_score}: it must be 0 to 1")
    if not arguments.out.absolute().parent.is_dir():
        raise InvalidSettings(f"{str(arguments.out)!r}: its folder does not exist; make it first")
    files = {image["id"]: arguments.images / image["file_name"] for image in content["images"]}
    teachers, tally = [load_predictor(path) for path in arguments.teacher], Tally()
    # What is held out to measure on keeps its labels: only faces are filled.
    held_out = {image["id"] for image in content["images"][count - arguments.hold_out :]}
    content["annotations"] = [
        relabel(
            item,
            files[item["image_id"]],
            teachers,
            arguments.min_score,
            arguments.mend and item["image_id"] not in held_out,
            tally,
        )
        for item in tqdm(content["annotations"], unit="person", disable=None)
    ]
    tqdm.write(str(tally))
    split = count - arguments.hold_out
    if arguments.hold_out:
        write_atomically(_part(content, content["images"][split:]), arguments.out.with_suffix(".held-out.json"))
    write_atomically(_part(content, content["images"][:split]), arguments.out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m plumbline_training.teacher",
        description="Fill the face keypoints that a COCO keypoint file lacks from a teacher, mend noisy labels by what "
        "teachers see, and draw boxes around the joints.",
        epilog="example:\n  python -m plumbline_training.teacher lspet/person_keypoints.json lspet/images "
        "lspet/train.json --teacher movenet-thunder.tflite --mend --hold-out 300",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("annotations", type=Path, help="COCO keypoint file")
    parser.add_argument("images", type=Path, help="folder of its pictures")
    parser.add_argument("out", type=Path, help="COCO keypoint file to write")
    parser.add_argument(
        "--teacher", type=Path, nargs="+", required=True, help="MoveNet .tflite or any model; the first one fills faces"
    )
    parser.add_argument(
        "--mend",
        action="store_true",
        help="exchange left and right where that explains the error, unlabel joints that no teacher believes, move the "
        "others towards where the first teacher sees them",
    )
    parser.add_argument("--min-score", type=float, default=0.4, help="teacher's least score for a label (default 0.4)")
    parser.add_argument(
        "--hold-out",
        type=int,
        default=0,
        metavar="N",
        help="put the last N pictures into OUT's name with .held-out.json",
    )
    arguments = parser.parse_args()
    run_command(lambda: teach(arguments))


if __name__ == "__main__":
    main()
