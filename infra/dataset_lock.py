"""Holds a dataset list to the data that the repository knows: `python -m infra.dataset_lock LIST.yaml`.

`LIST.lock.json` beside the list has, for each data set, the digest of its annotations and of the names and sizes of its
pictures, in a folder or in shards. A difference stops a training run until somebody has looked at it and written the
lock again (--write).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from os.path import normpath
from pathlib import Path
from typing import Any

from plumbline_training.datasets import DatasetEntry, load_dataset_list
from plumbline_training.errors import InvalidDataset
from plumbline_training.shards import picture_paths, size_bytes


def digest_of(entry: DatasetEntry) -> dict[str, Any]:
    """What one data set is now. Raises SystemExit where a file is missing or damaged."""
    annotations, images = entry.annotations, entry.images
    if not annotations.is_file() or not images.exists():
        sys.exit(f"error: {entry.id}: {annotations} or {images} is missing; see docs/recipes.md, or give --data-root")
    content = annotations.read_bytes()
    try:
        names = {str(image["file_name"]) for image in json.loads(content)["images"]}
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"error: {entry.id}: {annotations} is no COCO keypoint file ({error!r}); fetch it again")
    try:
        packed = picture_paths(images)
    except InvalidDataset as error:
        sys.exit(f"error: {entry.id}: {error}")
    pictures = hashlib.sha256()
    for name in sorted(names):
        path = packed.get(normpath(name), images / name)
        size = size_bytes(path)
        if size is None:
            sys.exit(f"error: {entry.id}: {path} is missing; fetch the data again")
        pictures.update(f"{name} {size}\n".encode())
    return {
        "annotations_sha256": hashlib.sha256(content).hexdigest(),
        "images": len(names),
        "names_and_sizes_sha256": pictures.hexdigest(),
    }


def lock_of(dataset_list: Path, root: Path) -> dict[str, Any]:
    """All data sets of a list, by id. Raises SystemExit for a bad list, or where two data sets share an id."""
    try:
        listed = load_dataset_list(dataset_list, root)
    except InvalidDataset as error:
        sys.exit(f"error: {error}")
    found: dict[str, DatasetEntry] = {}
    for entry in (*listed.train, listed.validation):
        other = found.setdefault(entry.id, entry)
        if (other.annotations, other.images) != (entry.annotations, entry.images):
            sys.exit(f"error: {dataset_list}: two data sets have the id {entry.id!r}; give each its own")
    return {name: digest_of(entry) for name, entry in found.items()}


def lock_path(dataset_list: Path) -> Path:
    """Where a list's lock lies."""
    return dataset_list.with_suffix(".lock.json")


def check(dataset_list: Path, root: Path) -> list[str]:
    """What differs from the lock, a sentence each."""
    if not dataset_list.is_file():
        return [f"{dataset_list} is no file; name a dataset list"]
    if not lock_path(dataset_list).is_file():
        return [f"{dataset_list} has no lock; write it with --write once you know that the data are right"]
    known, now = json.loads(lock_path(dataset_list).read_text(encoding="utf-8")), lock_of(dataset_list, root)
    differing = [f"{name}: {known.get(name)} is locked, found {now.get(name)}" for name in sorted(known | now)
                 if known.get(name) != now.get(name)]  # fmt: skip
    return differing


def require(dataset_list: Path, root: Path) -> None:
    """Raise SystemExit, naming each difference, unless the data are as locked."""
    if differing := check(dataset_list, root):
        sys.exit("error: the data are not those that the repository knows:\n" + "\n".join(differing))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.dataset_lock", description=__doc__)
    parser.add_argument("list", type=Path)
    parser.add_argument("--data-root", type=Path, help="what the list's paths are relative to (default: its folder)")
    parser.add_argument("--write", action="store_true", help="take the data as they are")
    arguments = parser.parse_args()
    root = arguments.data_root or arguments.list.parent
    if arguments.write:
        text = json.dumps(lock_of(arguments.list, root), indent=2) + "\n"
        lock_path(arguments.list).write_text(text, encoding="utf-8")
    else:
        require(arguments.list, root)
    print(f"{arguments.list}: as locked")


if __name__ == "__main__":
    main()
