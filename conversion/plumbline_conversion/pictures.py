"""Finds persons in a folder of images, a video or a COCO keypoint json, and cuts them out as the edge does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np

from plumbline_contract.box import Box
from plumbline_contract.errors import InvalidBox
from plumbline_contract.manifest import InputSpec
from plumbline_contract.preprocess import Image, decode_picture, extract_crop
from plumbline_conversion.errors import UnreadableImages
from plumbline_conversion.plan import ImageSource

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
VIDEO_SUFFIXES: Final = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm"})

Item = TypeVar("Item")


@dataclass(frozen=True)
class Sighting:
    """A person to cut out: in a picture or one frame of a video, at a box or, without one, in all of it."""

    path: Path
    frame: int | None = None
    box: Box | None = None

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame}"


def find_sightings(source: ImageSource) -> list[Sighting]:
    """All persons of the source, in a fixed order. Raises UnreadableImages."""
    path = source.path
    if path.is_dir():
        found = [Sighting(file) for file in sorted(path.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES]
    elif path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        found = [Sighting(path, frame) for frame in range(_frame_count(path))]
    elif path.suffix.lower() == ".json" and path.is_file():
        found = _annotated_persons(source)
    else:
        raise UnreadableImages(f"{path}: no folder of images, no video and no COCO keypoint json; give one that exists")
    if not found:
        raise UnreadableImages(f"{path}: holds no image of a person ({', '.join(sorted(IMAGE_SUFFIXES))} are read)")
    return found


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, evenly spaced over the sequence."""
    kept = min(count, len(items))
    return [items[(2 * index + 1) * len(items) // (2 * kept)] for index in range(kept)]


def cut_out(sightings: Iterable[Sighting], spec: InputSpec) -> Iterator[Image]:
    """The RGB crop (spec.height, spec.width, 3) of each sighting, its box grown by spec.box_padding.

    Frames of one video must come in ascending order. Raises UnreadableImages for a picture that cannot be decoded.
    """
    for sighting, image_bgr in _decoded(sightings):
        box = sighting.box or Box.whole_image(*image_bgr.shape[:2])
        yield extract_crop(image_bgr, box.padded(spec.box_padding), spec.height, spec.width)[0]


def _decoded(sightings: Iterable[Sighting]) -> Iterator[tuple[Sighting, Image]]:
    reader = _FrameReader()
    for sighting in sightings:
        image = _read(sighting.path) if sighting.frame is None else reader.read(sighting.path, sighting.frame)
        if image is None:
            raise UnreadableImages(f"{sighting.path}: {sighting.name} cannot be decoded; remove or replace it")
        yield sighting, np.asarray(image, dtype=np.uint8)


def _read(path: Path) -> Image | None:
    try:
        return decode_picture(path.read_bytes())
    except OSError:
        return None


class _FrameReader:
    """Reads ascending frames of a video without seeking, which is inexact in most containers."""

    def __init__(self) -> None:
        self._capture: cv2.VideoCapture | None = None
        self._path: Path | None = None
        self._next = 0

    def read(self, path: Path, frame: int) -> Any:
        if self._capture is None or path != self._path or frame < self._next:
            self._capture, self._path, self._next = cv2.VideoCapture(str(path)), path, 0
        while self._next < frame and self._capture.grab():
            self._next += 1
        self._next += 1
        return self._capture.read()[1]


LEAST_SIDE: Final = 1.0
"""Pixels; whoever is labelled smaller is skipped, as in training."""


def _frame_count(path: Path) -> int:
    """Frames that really decode; a container's own count may be wrong."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def _labelled(annotation: dict[str, Any]) -> bool:
    """Whether any keypoint is; COCO's own count of them is left out by some programs."""
    visibility = annotation.get("keypoints", [])[2::3]
    return int(annotation.get("num_keypoints", sum(v > 0 for v in visibility))) > 0


def _annotated_persons(source: ImageSource) -> list[Sighting]:
    try:
        content = json.loads(source.path.read_text(encoding="utf-8"))
        files = {image["id"]: image["file_name"] for image in content["images"]}
        persons = [
            (files[annotation["image_id"]], Box.from_xywh(annotation["bbox"]))
            for annotation in sorted(content["annotations"], key=lambda annotation: annotation["image_id"])
            if _labelled(annotation)
            and not annotation.get("iscrowd", 0)
            and min(map(float, annotation["bbox"][2:])) > LEAST_SIDE
        ]
    except (KeyError, TypeError, ValueError, InvalidBox) as error:
        raise UnreadableImages(
            f"{source.path}: no valid COCO keypoint json ({type(error).__name__}: {error}); "
            "it needs images (id, file_name) and annotations (image_id, bbox, num_keypoints)"
        ) from error
    return [Sighting(_image_file(source, name), box=box) for name, box in persons]


def _image_file(source: ImageSource, name: str) -> Path:
    for folder in source.folders:
        if (folder / name).is_file():
            return folder / name
    raise UnreadableImages(
        f"{source.path}: image {name!r} is not in {' or '.join(map(str, source.folders))}; name its folder"
    )
