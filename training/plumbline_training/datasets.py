"""Dataset lists (`data.yaml`) and COCO keypoint annotations: who stands where in which picture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plumbline_contract import manifest
from plumbline_contract.box import Box
from plumbline_contract.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS
from plumbline_training.errors import InvalidDataset


class DatasetEntry(BaseModel):
    """One dataset of a list; paths are relative to the list's folder, or to `--data-root`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    annotations: Path
    images: Path
    terms: str = Field(default="not stated", min_length=1, description="licence or terms, carried into the lineage")
    repeat: int = Field(default=1, ge=1, description="times each person is seen in an epoch")


class DatasetList(BaseModel):
    """What to train on and what to measure on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: tuple[DatasetEntry, ...] = Field(min_length=1)
    validation: DatasetEntry


@dataclass(frozen=True)
class Person:
    """One labelled person: the picture, the box around them and keypoints (K, 3) x, y, v in image pixels.

    v is COCO's: 0 not labelled, 1 labelled but hidden, 2 visible.
    """

    image: Path
    image_id: int
    annotation_id: int
    box: Box
    keypoints_K3: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Dataset:
    """A dataset as loaded."""

    entry: DatasetEntry
    persons: tuple[Person, ...]
    images: int
    sha256: str

    def lineage(self) -> manifest.Dataset:
        """What the manifest says of it."""
        return manifest.Dataset(id=self.entry.id, sha256=self.sha256, images=self.images, terms=self.entry.terms)


def load_dataset_list(path: Path, root: Path | None = None) -> DatasetList:
    """Read `data.yaml`. Raises InvalidDataset that names the field at fault."""
    try:
        listed = DatasetList.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidDataset(f"{str(path)!r}: {error.strerror}; name a dataset list with --data") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise InvalidDataset(f"{str(path)!r} is no dataset list: {' '.join(str(error).split())}") from error
    base = path.parent if root is None else root

    def placed(entry: DatasetEntry) -> DatasetEntry:
        return entry.model_copy(update={"annotations": base / entry.annotations, "images": base / entry.images})

    return DatasetList(train=tuple(map(placed, listed.train)), validation=placed(listed.validation))


def load_dataset(entry: DatasetEntry) -> Dataset:
    """Read a COCO keypoint annotation file and check it against the image folder.

    Crowds and persons without a labelled keypoint are left out. Raises InvalidDataset for a file that does not parse,
    an annotation without 17 keypoints or with a picture that is not listed, a missing picture, or nobody to learn from.
    """
    raw, content = _read_json(entry.annotations)
    try:
        files = {image["id"]: entry.images / image["file_name"] for image in content["images"]}
        annotations = content["annotations"]
        _check_keypoint_names(content, entry.annotations)
    except (KeyError, TypeError) as error:
        raise InvalidDataset(f"{str(entry.annotations)!r} is no COCO keypoint file: {error} is missing") from error
    persons = [person for item in annotations if (person := _person(item, files, entry.annotations)) is not None]
    if not persons:
        raise InvalidDataset(f"{str(entry.annotations)!r} labels no person with keypoints; nothing can be learned")
    used = {person.image for person in persons}
    if missing := sorted(image for image in used if not image.is_file()):
        raise InvalidDataset(
            f"{str(entry.annotations)!r} names {len(missing)} missing picture(s), first {str(missing[0])!r}; "
            f"check the dataset's `images` folder"
        )
    return Dataset(entry, tuple(persons), len(used), hashlib.sha256(raw).hexdigest())


def _read_json(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
    except OSError as error:
        raise InvalidDataset(f"{str(path)!r}: {error.strerror}; check the dataset list") from error
    except ValueError as error:
        raise InvalidDataset(f"{str(path)!r} is no JSON ({error}); is the file complete?") from error
    if not isinstance(content, dict):
        raise InvalidDataset(f"{str(path)!r} is no COCO keypoint file: it holds a {type(content).__name__}")
    return raw, content


def _check_keypoint_names(content: dict[str, Any], path: Path) -> None:
    names = tuple(content["categories"][0]["keypoints"]) if content.get("categories") else KEYPOINT_NAMES
    if names != KEYPOINT_NAMES:
        raise InvalidDataset(f"{str(path)!r} labels {len(names)} keypoints that are not COCO's 17 in COCO order")


def _person(item: dict[str, Any], files: dict[int, Path], path: Path) -> Person | None:
    where = f"{str(path)!r}, annotation {item.get('id')!r}"
    if item.get("iscrowd"):
        return None
    if len(item.get("keypoints", ())) != 3 * NUM_KEYPOINTS:
        raise InvalidDataset(f"{where}: has {len(item.get('keypoints', ()))} keypoint numbers, 51 are needed")
    if item["image_id"] not in files:
        raise InvalidDataset(f"{where}: names image {item['image_id']!r}, which the file does not list")
    keypoints_K3 = np.array(item["keypoints"], dtype=np.float32).reshape(NUM_KEYPOINTS, 3)
    if not np.isfinite(keypoints_K3).all():
        raise InvalidDataset(f"{where}: a keypoint is not a finite number")
    if not (keypoints_K3[:, 2] > 0).any() or item["bbox"][2] <= 1 or item["bbox"][3] <= 1:
        return None
    return Person(files[item["image_id"]], item["image_id"], item["id"], Box.from_xywh(item["bbox"]), keypoints_K3)
