"""Blobs on their way in: written and hashed in a folder of this machine, whatever the store behind it.

    <incoming>/<process>/<upload>

A process holds a lock on its own folder, so that a start can tell what a killed process left behind from what a living
one is writing.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbline_registry.errors import StorageFull, StorageUnavailable

Place = Callable[["StagedFile"], None]
"""Makes a whole blob durable and visible in its store."""


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"{what}: the disk is full; nothing was kept, free some space and try again") from error
        raise StorageUnavailable(f"{what}: {error.strerror or error}") from error


class Staging:
    """This process's folder of unfinished uploads. Raises StorageFull, StorageUnavailable."""

    def __init__(self, incoming: Path, place: Place) -> None:
        self._place = place
        with storage_errors(f"folder {str(incoming)!r}"):
            incoming.mkdir(parents=True, exist_ok=True)
            self.folder, self._lock = _claim_folder(incoming)

    def stage(self) -> StagedFile:
        """Begin a blob."""
        with storage_errors("new blob"):
            descriptor, path = tempfile.mkstemp(dir=self.folder)
        return StagedFile(descriptor, Path(path), self._place)

    def check(self) -> None:
        """Raise StorageFull or StorageUnavailable unless an upload could be written here now."""
        probe = self.stage()
        try:
            probe.write(memoryview(bytes(4096)))
        finally:
            probe.discard()

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


class StagedFile:
    """A StagedBlob that is a file until its store has it."""

    def __init__(self, descriptor: int, path: Path, place: Place) -> None:
        self.descriptor = descriptor
        self.path = path
        self.size_bytes = 0
        self._place = place
        self._hash = hashlib.sha256()
        self._open = True

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: memoryview) -> None:
        self._hash.update(data)
        self.size_bytes += len(data)
        with storage_errors("upload"):
            while data:
                data = data[os.write(self.descriptor, data) :]

    def read(self) -> bytes:
        return self.path.read_bytes()

    def commit(self) -> None:
        with storage_errors(f"blob {self.sha256!r}"):
            self._place(self)
        self.discard()

    def discard(self) -> None:
        if self._open:
            self._open = False
            os.close(self.descriptor)
            self.path.unlink(missing_ok=True)


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
