"""Packs the datasets of a list into shards of a bounded size: `python -m plumbline_training.pack`.

For machines that take data in pieces, and for stores where many small files are slow.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from tqdm import tqdm

from plumbline_contract.preprocess import decode_picture
from plumbline_training.checkpoint import PARTIAL, write_atomically
from plumbline_training.cli import dataset_list, dataset_parser, run_command
from plumbline_training.datasets import Dataset, DatasetEntry, load_dataset
from plumbline_training.errors import InvalidDataset, InvalidSettings
from plumbline_training.shards import read_bytes, shards_of

LIST_FILE = "data.yaml"
WEBP_QUALITY = 80
"""Of a picture that is made smaller; the others keep their bytes."""


def packed_picture(path: Path, max_side: int | None) -> tuple[bytes, float]:
    """A picture's bytes and the factor it was scaled by. Raises InvalidDataset for a broken one."""
    encoded = read_bytes(path)
    image = decode_picture(encoded)
    if image is None:
        raise InvalidDataset(f"{str(path)!r} cannot be decoded; fetch it again, or take it out of the annotations")
    scale = 1.0 if max_side is None else min(1.0, max_side / max(image.shape[:2]))
    if scale == 1.0:
        return encoded, 1.0
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".webp", smaller, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])[1].tobytes(), scale


def scaled(item: dict[str, Any], factor: float) -> dict[str, Any]:
    """An annotation in the pixels of a picture scaled by `factor`; pixel centres lie at half pixels."""
    if factor == 1.0:
        return item
    points_K3 = np.array(item.get("keypoints", []), np.float64).reshape(-1, 3)
    known = points_K3[:, 2] > 0
    points_K3[known, :2] = (points_K3[known, :2] + 0.5) * factor - 0.5
    changed: dict[str, Any] = {"bbox": [round(value * factor, 3) for value in item["bbox"]]}
    if "keypoints" in item:
        changed["keypoints"] = points_K3.round(3).reshape(-1).tolist()
    if "area" in item:
        changed["area"] = item["area"] * factor**2
    return {**item, **changed}


class ShardWriter:
    """Fills shards OUT/NAME-000.tar, OUT/NAME-001.tar, … of at most so many bytes, the same for the same pictures."""

    def __init__(self, out: Path, name: str, max_bytes: int) -> None:
        self._out, self._name, self._max_bytes = out, name, max_bytes
        self._pending: list[tuple[str, bytes]] = []
        self._bytes = 0
        self.written: list[Path] = []

    def add(self, name: str, content: bytes) -> None:
        """One picture; a full shard is written first."""
        size = tarfile.BLOCKSIZE * (2 + len(content) // tarfile.BLOCKSIZE)
        if self._pending and self._bytes + size > self._max_bytes - tarfile.RECORDSIZE:
            self.flush()
        self._pending.append((name, content))
        self._bytes += size

    def flush(self) -> None:
        """Write what waits."""
        if not self._pending:
            return
        path = self._out / f"{self._name}-{len(self.written):03d}.tar"
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in self._pending:
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
        write_atomically(stream.getvalue(), path)
        self.written.append(path)
        self._pending, self._bytes = [], 0


def pack(dataset: Dataset, out: Path, max_bytes: int, max_side: int | None) -> Iterator[Path]:
    """Write a dataset's shards and its annotations, in place of an earlier pack's; yields every file."""
    content = json.loads(dataset.entry.annotations.read_bytes())
    used = {item.image_id for item in dataset.annotations}
    folder = out / dataset.entry.id
    folder.mkdir(parents=True, exist_ok=True)
    for older in shards_of(folder):  # every shard of the folder is read, and these would hide the new ones
        older.unlink()
    writer, factors = ShardWriter(folder, dataset.entry.id, max_bytes), {}
    for image in tqdm(content["images"], desc=dataset.entry.id, unit="picture", disable=None):
        if image["id"] in used:
            picture, factors[image["id"]] = packed_picture(dataset.pictures[image["id"]], max_side)
            writer.add(image["file_name"], picture)
    writer.flush()
    images = [image for image in content["images"] if image["id"] in factors]
    for image in images:
        for side in ("width", "height"):
            if side in image:
                image[side] = round(image[side] * factors[image["id"]])
    # Of another category on a picture without persons, which is not packed.
    known = [item for item in content["annotations"] if item["image_id"] in factors]
    persons = [scaled(item, factors[item["image_id"]]) for item in known]
    annotations = out / f"{dataset.entry.id}.json"
    write_atomically(json.dumps({**content, "images": images, "annotations": persons}), annotations)
    yield from (*writer.written, annotations)


def _entry(entry: DatasetEntry) -> dict[str, Any]:
    """As the packed list names it."""
    kept = entry.model_dump(mode="json", exclude_defaults=True)
    return kept | {"annotations": f"{entry.id}.json", "images": entry.id}


def _by_id(entries: Iterable[DatasetEntry]) -> dict[str, DatasetEntry]:
    """Each dataset once, as what is packed is named by its id. Raises InvalidSettings where two share one."""
    found: dict[str, DatasetEntry] = {}
    for entry in entries:
        other = found.setdefault(entry.id, entry)
        if other.model_copy(update={"repeat": entry.repeat}) != entry:
            raise InvalidSettings(f"two datasets of the list have the id {entry.id!r}; give each its own")
    return found


def _check_apart(data: Path, entries: Iterable[DatasetEntry], out: Path) -> None:
    """Raise InvalidSettings where the new pack would take the place of what it is made from."""
    sources, replaced = {data.resolve()}, {(out / LIST_FILE).resolve()}
    for entry in entries:
        sources |= {entry.annotations.resolve(), entry.images.resolve(), entry.images.resolve().parent}
        replaced |= {(out / f"{entry.id}.json").resolve(), (out / entry.id).resolve()}
    if both := sorted(sources & replaced):
        raise InvalidSettings(f"--out {str(out)!r}: {str(both[0])!r} would be replaced; name another folder")


def main() -> None:
    """Command line."""
    parser = dataset_parser(
        "python -m plumbline_training.pack",
        "Pack the datasets of a list into tar shards of a bounded size, with a list that names them.",
        "  python -m plumbline_training.pack --data data.yaml --out kit --max-mb 50 --max-side 384",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for data.yaml and the shards")
    parser.add_argument("--max-mb", type=float, default=50.0, help="largest shard in megabytes (default 50)")
    parser.add_argument("--max-side", type=int, metavar="PX", help="make larger pictures smaller, as WebP")
    arguments = parser.parse_args()

    def run() -> None:
        if arguments.max_mb < 1:
            raise InvalidSettings(f"--max-mb {arguments.max_mb}: a shard holds at least 1 MB")
        listed = dataset_list(arguments)
        if arguments.max_side is not None and arguments.max_side < 1:
            raise InvalidSettings(f"--max-side {arguments.max_side}: a picture has at least 1 pixel")
        entries = _by_id((*listed.train, listed.validation))
        _check_apart(arguments.data, entries.values(), arguments.out)
        arguments.out.mkdir(parents=True, exist_ok=True)
        for partial in arguments.out.glob(f"**/*{PARTIAL}"):
            partial.unlink()
        (arguments.out / LIST_FILE).unlink(missing_ok=True)
        for entry in entries.values():
            for path in pack(load_dataset(entry), arguments.out, int(arguments.max_mb * 1e6), arguments.max_side):
                tqdm.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        # The list comes last: where it is, everything is.
        content = {"train": [_entry(entry) for entry in listed.train], "validation": _entry(listed.validation)}
        write_atomically(yaml.safe_dump(content, sort_keys=False), arguments.out / LIST_FILE)

    run_command(run)


if __name__ == "__main__":
    main()
