"""Keypoints in one's own photographs: overlays to look at and a COCO keypoint file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.box import Box, box_from_keypoints
from plumbline_contract.preprocess import Image, decode_picture
from plumbline_contract.skeleton import KEYPOINT_NAMES, LIMBS
from plumbline_training.checkpoint import write_atomically
from plumbline_training.drawing import draw_skeleton, write_line
from plumbline_training.errors import InvalidSettings
from plumbline_training.evaluate import PERSON_CATEGORY, person_score
from plumbline_training.predictors import Predictor

RESULTS_FILE = "keypoints.json"
OVERLAYS_FOLDER = "overlays"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
SEARCHES = 2
"""Looks again at the box around what the look before found."""
SEARCH_MARGIN = 1.2


@dataclass(frozen=True)
class Summary:
    """What became of a folder."""

    pictures: int
    uncertain: list[str]
    """Pictures in which nobody was found with a score that counts."""
    unreadable: list[str]


def photographs_in(folder: Path, out: Path) -> list[Path]:
    """Pictures of a folder, by name. Raises InvalidSettings for none, and when they are to be written among them."""
    if not folder.is_dir():
        raise InvalidSettings(f"{str(folder)!r} is no folder; name one that holds photographs")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InvalidSettings(f"{str(folder)!r} holds no picture ({', '.join(sorted(SUFFIXES))})")
    if out.resolve() == folder.resolve():
        raise InvalidSettings(f"--out {str(out)!r} is the folder of photographs itself; choose another")
    return found


def load_boxes(path: Path) -> dict[str, list[Box]]:
    """Boxes by file name, from {"photo.jpg": [[x, y, w, h]]} or a COCO annotation file. Raises InvalidSettings."""
    try:
        content = json.loads(path.read_bytes())
        if "annotations" in content:
            content = _boxes_of_coco(content)
        return {name: [Box.from_xywh(xywh) for xywh in boxes] for name, boxes in content.items()}
    except OSError as error:
        raise InvalidSettings(f"--boxes {str(path)!r}: {error.strerror}") from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidSettings(
            f"--boxes {str(path)!r}: neither {{name: [[x, y, w, h]]}} nor COCO annotations ({error!r})"
        ) from error


def _boxes_of_coco(content: dict[str, Any]) -> dict[str, list[Any]]:
    names = {image["id"]: image["file_name"] for image in content["images"]}
    boxes: dict[str, list[Any]] = {}
    for item in content["annotations"]:
        if not item.get("iscrowd"):
            boxes.setdefault(names[item["image_id"]], []).append(item["bbox"])
    return boxes


def search(image_bgr_HW3: Image, predictor: Predictor) -> npt.NDArray[np.float32]:
    """The keypoints (K, 3) of the one person that a whole picture shows, looked at again from close by."""
    height, width = image_bgr_HW3.shape[:2]
    best_K3: npt.NDArray[np.float32] = predictor(image_bgr_HW3, [Box.whole_image(height, width)])[0]
    for _ in range(SEARCHES):
        box = box_from_keypoints(best_K3, min_score=float(np.median(best_K3[:, 2])) / 2)
        if box is None:
            break
        found_K3 = predictor(image_bgr_HW3, [box.padded(SEARCH_MARGIN)])[0]
        if person_score(found_K3) >= person_score(best_K3):
            best_K3 = found_K3
    return best_K3


def annotate(
    folder: Path, out: Path, predictor: Predictor, boxes: dict[str, list[Box]] | None, min_score: float, quiet: bool
) -> Summary:
    """Write OUT/keypoints.json and OUT/overlays/. Raises as `photographs_in` does."""
    paths = photographs_in(folder, out)
    (out / OVERLAYS_FOLDER).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    summary = Summary(len(paths), [], [])
    for number, path in enumerate(tqdm(paths, unit="picture", disable=quiet or None), start=1):
        picture = decode_picture(path.read_bytes())
        if picture is None:
            summary.unreadable.append(path.name)
            continue
        here = None if boxes is None else boxes.get(path.name, [])
        people = [search(picture, predictor)] if here is None else list(predictor(picture, here)) if here else []
        images.append({"id": number, "file_name": path.name, "height": picture.shape[0], "width": picture.shape[1]})
        annotations += [_annotation(number, person) for person in people]
        if not draw_people(picture, people, min_score):
            summary.uncertain.append(path.name)
        encoded = cv2.imencode(".jpg", picture)[1].tobytes()
        write_atomically(encoded, out / OVERLAYS_FOLDER / f"{path.name}.jpg")
    for item, annotation in enumerate(annotations, start=1):
        annotation["id"] = item
    skeleton = [[start + 1, end + 1] for start, end in LIMBS]
    category = {"id": PERSON_CATEGORY, "name": "person", "keypoints": list(KEYPOINT_NAMES), "skeleton": skeleton}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    write_atomically(json.dumps(content, indent=1) + "\n", out / RESULTS_FILE)
    return summary


def draw_people(picture: Image, people: Sequence[npt.NDArray[np.float32]], min_score: float) -> bool:
    """Draw everybody who is sure enough, in place; says so on the picture, and returns False, when nobody is."""
    sure = [person for person in people if person_score(person) >= min_score]
    for person_K3 in sure:
        draw_skeleton(picture, person_K3, min_score)
    scores = ", ".join(f"{person_score(person):.2f}" for person in people)
    write_line(picture, f"score {scores}" if sure else f"nobody is sure enough ({scores or 'no box'})")
    return bool(sure)


def _annotation(image_id: int, keypoints_K3: npt.NDArray[np.float32]) -> dict[str, Any]:
    """A COCO keypoint annotation with the score of the person and of each keypoint."""
    low_2, high_2 = keypoints_K3[:, :2].min(axis=0), keypoints_K3[:, :2].max(axis=0)
    flat = [[round(float(x), 2), round(float(y), 2), 2] for x, y, _ in keypoints_K3]
    box = [round(float(value), 2) for value in (*low_2, *(high_2 - low_2))]
    return {
        "image_id": image_id,
        "category_id": PERSON_CATEGORY,
        "iscrowd": 0,
        "bbox": box,
        "area": round(box[2] * box[3], 2),
        "keypoints": [value for point in flat for value in point],
        "num_keypoints": len(keypoints_K3),
        "score": round(person_score(keypoints_K3), 4),
        "keypoint_scores": [round(float(value), 4) for value in keypoints_K3[:, 2]],
    }
