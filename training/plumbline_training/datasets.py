"""Dataset lists (`data.yaml`) and COCO keypoint annotations: who stands where in which picture."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import normpath
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from plumbline_contract import manifest
from plumbline_contract.box import Box
from plumbline_contract.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS
from plumbline_training import shards
from plumbline_training.errors import InvalidDataset

TYPICAL_AREA = 0.53
"""Share of its box that a COCO person fills on average; stands in for an area that is not given."""


class DatasetEntry(BaseModel):
    """One dataset of a list; paths are relative to the list's folder, or to `--data-root`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    annotations: Path
    images: Path = Field(description="folder of pictures, tar shard, or folder of tar shards")
    terms: str = Field(default="not stated", min_length=1, description="licence or terms, carried into the lineage")
    background: bool = Field(
        default=False, description="few but the labelled persons are in the pictures: the rest shows nobody"
    )
    keypoints: tuple[str, ...] | None = Field(
        default=None, description="names of the keypoints that the file labels, in its order; COCO's 17 if not given"
    )
    unlabelled: bool = Field(default=False, description="boxes alone count: a teacher tells where the keypoints are")
    repeat: int = Field(default=1, ge=1, description="times each person is seen in an epoch")

    @field_validator("keypoints")
    @classmethod
    def _known_keypoints(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and (not names or len(set(names)) < len(names) or not set(names) <= set(KEYPOINT_NAMES)):
            raise ValueError(
                f"keypoints {list(names)!r}: each must be one of COCO's 17 ({', '.join(KEYPOINT_NAMES)}), once"
            )
        return names


class DatasetList(BaseModel):
    """What to train on and what to measure on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: tuple[DatasetEntry, ...] = Field(min_length=1)
    validation: DatasetEntry


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation of the person category as the file has it, crowds and persons without keypoints included."""

    image_id: int
    bbox_xywh: tuple[float, float, float, float]
    keypoints_V: npt.NDArray[np.float64]
    """x, y, v of the 17 keypoints in one row of 51, in the file's precision."""
    area: float
    """In square pixels; 0.53 of the box where the file has none, as COCO's persons fill their boxes on average."""
    crowd: bool


@dataclass(frozen=True)
class Person:
    """One labelled person: the picture, the box around them and keypoints (K, 3) x, y, v in image pixels.

    v is COCO's: 0 not labelled, 1 labelled but hidden, 2 visible.
    """

    image: Path
    image_id: int
    box: Box
    keypoints_K3: npt.NDArray[np.float32]
    area: float
    """In square pixels, as the annotation has it."""


@dataclass(frozen=True)
class Dataset:
    """A dataset as loaded."""

    entry: DatasetEntry
    persons: tuple[Person, ...]
    images: int
    sha256: str
    annotations: tuple[Annotation, ...] = field(repr=False)
    """What there is to find, in the file's order: the persons, and what an evaluation must ignore."""
    pictures: dict[int, Path] = field(default_factory=dict, repr=False)
    """Every picture of the file by its id, those without persons too."""

    def lineage(self) -> manifest.Dataset:
        """What the manifest says of it."""
        return manifest.Dataset(id=self.entry.id, sha256=self.sha256, images=self.images, terms=self.entry.terms)


def load_dataset_list(path: Path, root: Path | None = None) -> DatasetList:
    """Read `data.yaml`. Raises InvalidDataset that names the field at fault."""
    try:
        listed = DatasetList.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidDataset(f"{str(path)!r}: {error.strerror}; name a dataset list with --data") from error
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise InvalidDataset(f"{str(path)!r} is no dataset list: {' '.join(str(error).split())}") from error
    base = path.parent if root is None else root

    def placed(entry: DatasetEntry) -> DatasetEntry:
        return entry.model_copy(update={"annotations": base / entry.annotations, "images": base / entry.images})

    return DatasetList(train=tuple(map(placed, listed.train)), validation=placed(listed.validation))


def load_dataset(entry: DatasetEntry) -> Dataset:
    """Read a COCO keypoint annotation file and check it against the image folder.

    Crowds and persons without a labelled keypoint are no persons to learn from. Raises InvalidDataset for a file that
    does not parse, an annotation without 17 keypoints or with a picture that is not listed, a missing picture, or
    nobody to learn from.
    """
    raw, content = _read_json(entry.annotations)
    files = _files(content, entry)
    others = _other_categories(content, entry)
    annotations, persons = [], []
    for position, item in enumerate(_items(content, "annotations", entry.annotations)):
        if item.get("category_id") in others:
            continue
        where = f"{str(entry.annotations)!r}, annotation {item.get('id', position)!r}"
        annotation = _annotation(item, files, where, entry)
        annotations.append(annotation)
        if (person := _person(annotation, files, entry.unlabelled)) is not None:
            persons.append(person)
    if not persons:
        raise InvalidDataset(f"{str(entry.annotations)!r} labels no person with keypoints; nothing can be learned")
    used = {person.image for person in persons}
    if missing := sorted(image for image in used if not shards.exists(image)):
        raise InvalidDataset(
            f"{str(entry.annotations)!r} names {len(missing)} missing picture(s), first {str(missing[0])!r}; "
            f"check the dataset's `images` folder"
        )
    return Dataset(entry, tuple(persons), len(used), hashlib.sha256(raw).hexdigest(), tuple(annotations), files)


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


def _items(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    """The list of objects under a key of the file."""
    items = content.get(key)
    if not isinstance(items, list):
        raise InvalidDataset(f"{str(path)!r} is no COCO keypoint file: {key!r} is missing or no list")
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidDataset(f"{str(path)!r}: {key}[{position}] is {item!r:.40}, an object is needed")
    return items


def _files(content: dict[str, Any], entry: DatasetEntry) -> dict[int, Path]:
    """Image id -> picture."""
    files, packed = {}, shards.picture_paths(entry.images)
    for position, image in enumerate(_items(content, "images", entry.annotations)):
        number, name = image.get("id"), image.get("file_name")
        if not isinstance(number, int) or not isinstance(name, str) or not name:
            raise InvalidDataset(
                f"{str(entry.annotations)!r}: images[{position}] has id {number!r:.40} and file_name {name!r:.40}; "
                f"an integer and a path are needed"
            )
        files[number] = packed.get(normpath(name), entry.images / name)
    return files


def _other_categories(content: dict[str, Any], entry: DatasetEntry) -> list[Any]:
    """Ids of the categories that are no persons: those without keypoints, where another has them.

    Where none has, as in a detector's file, those of another name than `person`.
    """
    path, expected = entry.annotations, entry.keypoints or KEYPOINT_NAMES
    known = "COCO's 17 in COCO order" if entry.keypoints is None else repr(list(expected))
    categories = _items(content, "categories", path) if content.get("categories") else []
    for category in categories:
        names = category.get("keypoints")
        if names is not None and (not isinstance(names, list) or tuple(names) != expected):
            raise InvalidDataset(
                f"{str(path)!r}: category {category.get('name')!r} has keypoints that are not "
                f"{known}; "
                f"name those of the file under `keypoints` of the dataset list"
            )
    if not any("keypoints" in category for category in categories):
        others = [category.get("id") for category in categories if category.get("name") != "person"]
        if len(others) < len(categories):
            return others
        if entry.unlabelled and len(categories) > 1:
            names = ", ".join(repr(category.get("name")) for category in categories[:5])
            raise InvalidDataset(f"{str(path)!r}: none of its {len(categories)} categories is a person: {names}")
        return []
    return [category.get("id") for category in categories if "keypoints" not in category]


def _annotation(item: dict[str, Any], files: dict[int, Path], where: str, entry: DatasetEntry) -> Annotation:
    for key in ("id", "image_id"):
        if not isinstance(item.get(key), int):
            raise InvalidDataset(f"{where}: {key} is {item.get(key)!r:.40}, an integer is needed")
    if item["image_id"] not in files:
        raise InvalidDataset(f"{where}: names image {item['image_id']!r}, which the file does not list")
    crowd = bool(item.get("iscrowd"))
    left, top, width, height = _numbers(item, "bbox", 4, where).tolist()
    keypoints_V = np.zeros(3 * NUM_KEYPOINTS)
    if "keypoints" in item or not (crowd or entry.unlabelled):
        names = entry.keypoints or KEYPOINT_NAMES
        places = [KEYPOINT_NAMES.index(name) for name in names]
        keypoints_V.reshape(-1, 3)[places] = _numbers(item, "keypoints", 3 * len(names), where).reshape(-1, 3)
    area = item.get("area")
    if area is None:
        area = TYPICAL_AREA * width * height
    if not isinstance(area, int | float) or not math.isfinite(area):
        raise InvalidDataset(f"{where}: area is {area!r:.40}, a number is needed")
    return Annotation(item["image_id"], (left, top, width, height), keypoints_V, float(area), crowd)


def _numbers(item: dict[str, Any], key: str, count: int, where: str) -> npt.NDArray[np.float64]:
    """So many finite numbers under a key of an annotation."""
    values = item.get(key)
    found = len(values) if isinstance(values, list) else 0
    if found != count:
        raise InvalidDataset(f"{where}: has {found} {key.removesuffix('s')} numbers, {count} are needed")
    try:
        array = np.array(values)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "if" or array.shape != (count,):
        raise InvalidDataset(f"{where}: {key} holds something that is no number: {values!r:.60}")
    if not np.isfinite(array).all():
        raise InvalidDataset(f"{where}: a number of {key} is not a finite number")
    return array.astype(np.float64)


def _person(annotation: Annotation, files: dict[int, Path], unlabelled: bool) -> Person | None:
    keypoints_K3 = annotation.keypoints_V.astype(np.float32).reshape(NUM_KEYPOINTS, 3)
    _, _, width, height = annotation.bbox_xywh
    labelled = unlabelled or bool((keypoints_K3[:, 2] > 0).any())
    if annotation.crowd or not labelled or width <= 1 or height <= 1:
        return None
    return Person(
        files[annotation.image_id],
        annotation.image_id,
        Box.from_xywh(annotation.bbox_xywh),
        keypoints_K3,
        annotation.area,
    )
