"""Blobs as files of a folder.

<root>/incoming/           uploads under way; a whole blob leaves by rename
<root>/sha256/ab/abcd...   immutable
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final

from plumbline_registry.blobs import blob_key
from plumbline_registry.disk import sync_folder
from plumbline_registry.errors import UnknownBlob
from plumbline_registry.stores.staging import StagedFile, Staging, storage_errors

_PIECE_BYTES: Final = 256 * 1024


class FolderBlobStore:
    """A BlobStore for one machine, or for several that share the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with storage_errors(f"blob folder {str(root)!r}"):
            (root / "sha256").mkdir(parents=True, exist_ok=True)
        self._staging = Staging(root / "incoming", self._place)

    def stage(self) -> StagedFile:
        return self._staging.stage()

    def size(self, sha256: str) -> int:
        with _known(sha256):
            return self._path(sha256).stat().st_size

    def read(self, sha256: str, begin: int, end: int) -> Iterator[bytes]:
        with _known(sha256):
            file = self._path(sha256).open("rb")
        return _pieces(file, begin, end)

    def link(self, sha256: str) -> str | None:
        return None

    def older_than(self, age: timedelta) -> list[str]:
        with storage_errors("blob folder"):
            return [path.name for path in (self._root / "sha256").glob("*/*") if _is_older(path, age)]

    def remove_if_older(self, sha256: str, age: timedelta) -> int | None:
        path, aside = self._path(sha256), self._staging.folder / f"garbage-{sha256}"
        with storage_errors(f"blob {sha256!r}"):
            # Out of sight first: whoever sends the same blob from now on stores a new file, which stays.
            path.rename(aside)
            if not _is_older(aside, age):
                aside.replace(path)
                return None
            size_bytes = aside.stat().st_size
            aside.unlink()
            return size_bytes

    def check(self) -> None:
        self._staging.check()

    def close(self) -> None:
        self._staging.close()

    def _path(self, sha256: str) -> Path:
        return self._root / blob_key(sha256)

    def _place(self, staged: StagedFile) -> None:
        target = self._path(staged.sha256)
        os.fchmod(staged.descriptor, 0o444)
        os.fsync(staged.descriptor)
        target.parent.mkdir(exist_ok=True)
        # Replaces an equal blob with itself: a copy that rotted on the disk is whole again after a publish.
        staged.path.replace(target)
        sync_folder(target.parent)
        sync_folder(target.parent.parent)


@contextmanager
def _known(sha256: str) -> Iterator[None]:
    with storage_errors(f"blob {sha256!r}"):
        try:
            yield
        except FileNotFoundError as error:
            raise UnknownBlob(f"no blob {sha256!r} here; digests are listed at /v1/bundles/<name>/versions") from error


def _pieces(file: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(begin)
        left = end - begin
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece


def _is_older(path: Path, age: timedelta) -> bool:
    return time.time() - path.stat().st_mtime > age.total_seconds()
