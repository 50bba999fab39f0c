"""Where the bytes of bundles lie, by digest: what the rest of the package sees of a store, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Protocol


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
    """Immutable bytes by sha256. Every method may raise StorageUnavailable."""

    def stage(self) -> StagedBlob:
        """Begin a blob."""

    def size(self, sha256: str) -> int:
        """Bytes of a blob. Raises UnknownBlob."""

    def read(self, sha256: str, begin: int, end: int) -> Iterator[bytes]:
        """The bytes from `begin` to before `end`, piece by piece. Raises UnknownBlob before the first piece."""

    def link(self, sha256: str) -> str | None:
        """An address that gives the blob to anybody for some minutes; None where the store has none to give."""

    def older_than(self, age: timedelta) -> list[str]:
        """Digests of the blobs that were stored, or sent again, longer ago than this."""

    def remove_if_older(self, sha256: str, age: timedelta) -> int | None:
        """Remove a blob and give its size; None if it was sent again meanwhile."""

    def check(self) -> None:
        """Raise StorageFull or StorageUnavailable unless a blob could be written now."""

    def close(self) -> None:
        """Give back what the process holds."""


def blob_key(sha256: str) -> PurePosixPath:
    """Where a blob lies below its store's root: sharded by the first two digits of its digest."""
    return PurePosixPath("sha256") / sha256[:2] / sha256
