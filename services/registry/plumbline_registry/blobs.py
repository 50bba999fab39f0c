"""Where the bytes of bundles lie, by digest; the rest of the package sees `BlobStore` and no folder.

    <root>/incoming/<process>/<upload>   written and hashed here; a whole blob leaves by rename
    <root>/sha256/ab/abcd...             immutable

A process holds a lock on its own folder under incoming/, so that a start can tell what a killed process left behind
from what a living one is writing.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from plumbline_registry.errors import StorageFull, StorageUnavailable, UnknownBlob


class StagedBlob(Protocol):
    """A blob that is being written and is not visible yet."""

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""

    def write(self, data: memoryview) -> None:
        """Append. Raises StorageFull, StorageUnavailable."""

    def read(self) -> bytes:
        """All that was written; for small blobs."""

    def commit(self) -> None:
        """Make it durable and visible under its digest; a blob that is already there stays as good as it is."""

    def discard(self) -> None:
        """Leave nothing behind; does nothing after commit."""


class BlobStore(Protocol):
    """Immutable bytes by sha256."""

    def stage(self) -> StagedBlob:
        """Begin a blob."""

    def locate(self, sha256: str) -> Path:
        """The file of a blob. Raises UnknownBlob."""

    def check(self) -> None:
        """Raise StorageFull or StorageUnavailable unless a blob could be written now."""

    def close(self) -> None:
        """Give back what the process holds."""


@contextmanager
def _storage_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"{what}: the disk is full; nothing was kept, free some space and try again") from error
        raise StorageUnavailable(f"{what}: {error.strerror or error}") from error


class FolderBlobStore:
    """Blobs as files in a folder, sharded by the first two digits of the digest."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with _storage_errors(f"blob folder {str(root)!r}"):
            (root / "sha256").mkdir(parents=True, exist_ok=True)
            (root / "incoming").mkdir(exist_ok=True)
            self._incoming, self._lock = _claim_folder(root / "incoming")

    def stage(self) -> _StagedFile:
        with _storage_errors("new blob"):
            descriptor, path = tempfile.mkstemp(dir=self._incoming)
        return _StagedFile(descriptor, Path(path), self._root / "sha256")

    def locate(self, sha256: str) -> Path:
        path = _blob_path(self._root / "sha256", sha256)
        if not path.is_file():
            raise UnknownBlob(f"no blob {sha256!r} here; digests are listed at /v1/bundles/<name>/versions")
        return path

    def older_than(self, age: timedelta) -> list[str]:
        """Digests of the blobs that were stored, or sent again, longer ago than this. Raises StorageUnavailable."""
        with _storage_errors("blob folder"):
            return [path.name for path in (self._root / "sha256").glob("*/*") if _is_older(path, age)]

    def remove_if_older(self, sha256: str, age: timedelta) -> int | None:
        """Remove a blob and give its size; None if it was sent again meanwhile. Raises StorageUnavailable."""
        path, aside = _blob_path(self._root / "sha256", sha256), self._incoming / f"garbage-{sha256}"
        with _storage_errors(f"blob {sha256!r}"):
            # Out of sight first: whoever sends the same blob from now on stores a new file, which stays.
            path.rename(aside)
            if not _is_older(aside, age):
                aside.replace(path)
                return None
            size_bytes = aside.stat().st_size
            aside.unlink()
            return size_bytes

    def check(self) -> None:
        probe = self.stage()
        try:
            probe.write(memoryview(bytes(4096)))
        finally:
            probe.discard()

    def close(self) -> None:
        shutil.rmtree(self._incoming, ignore_errors=True)
        os.close(self._lock)


class _StagedFile:
    def __init__(self, descriptor: int, path: Path, blobs: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._open = True
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: memoryview) -> None:
        self._hash.update(data)
        self.size_bytes += len(data)
        with _storage_errors("upload"):
            while data:
                data = data[os.write(self._descriptor, data) :]

    def read(self) -> bytes:
        return self._path.read_bytes()

    def commit(self) -> None:
        target = _blob_path(self._blobs, self.sha256)
        with _storage_errors(f"blob {self.sha256!r}"):
            os.fchmod(self._descriptor, 0o444)
            os.fsync(self._descriptor)
            target.parent.mkdir(exist_ok=True)
            # Replaces an equal blob with itself: a copy that rotted on the disk is whole again after a publish.
            self._path.replace(target)
            _sync_folder(target.parent)
            _sync_folder(self._blobs)
        self.discard()

    def discard(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)
            self._path.unlink(missing_ok=True)


def _is_older(path: Path, age: timedelta) -> bool:
    return time.time() - path.stat().st_mtime > age.total_seconds()


def _blob_path(blobs: Path, sha256: str) -> Path:
    return blobs / sha256[:2] / sha256


def _sync_folder(path: Path) -> None:
    """A rename survives a power cut only once its folder is on the disk too."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _claim_folder(incoming: Path) -> tuple[Path, int]:
    """Remove what dead processes left, make a folder of our own and lock it; one process at a time."""
    gate = os.open(incoming, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        for folder in incoming.iterdir():
            if (lock := _try_lock(folder)) is not None:
                shutil.rmtree(folder)
                os.close(lock)
        own = Path(tempfile.mkdtemp(dir=incoming))
        lock = _try_lock(own)
        assert lock is not None, "a folder made behind the gate is free"  # noqa: S101
        return own, lock
    finally:
        os.close(gate)


def _try_lock(folder: Path) -> int | None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
