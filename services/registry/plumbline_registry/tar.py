"""A tar read as it arrives and written as it is sent, so that neither side ever holds a bundle in memory.

The reader is pushed chunks of any size. It takes regular files only: what a tar can also carry (links, devices,
directories, sparse files) is refused before a byte of it is looked at.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from plumbline_registry.errors import MalformedUpload

BLOCK_BYTES: Final = 512
MAX_PAX_BYTES: Final = 16 * 1024
"""Room for the extended header that `tar` and tarfile write for sub-second times; it is skipped, never believed."""

Sink = Callable[[memoryview], None]


def _skip(data: memoryview) -> None:
    """The sink of what is read past."""


class TarReader:
    """Pushes the content of each regular file into the sink that `open_member(name, size_bytes)` gives for it."""

    def __init__(self, open_member: Callable[[str, int], Sink]) -> None:
        self._open_member = open_member
        self._header = bytearray()
        self._sink: Sink = _skip
        self._payload_left = 0
        self._padding_left = 0
        self._ended = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises MalformedUpload at the first that do not belong in a bundle's tar."""
        view = memoryview(chunk)
        while view:
            view = view[self._step(view) :]

    def finish(self) -> None:
        """Say that no more bytes come. Raises MalformedUpload if the archive was cut short."""
        if not self._ended:
            raise MalformedUpload("the tar ends before its end marker; it was cut short, send it again")

    def _step(self, view: memoryview) -> int:
        if self._payload_left:
            taken = min(self._payload_left, len(view))
            self._sink(view[:taken])
            self._payload_left -= taken
        elif self._padding_left:
            taken = min(self._padding_left, len(view))
            self._padding_left -= taken
        else:
            taken = min(BLOCK_BYTES - len(self._header), len(view))
            self._header += view[:taken]
            if len(self._header) == BLOCK_BYTES:
                self._begin_member(bytes(self._header))
                self._header.clear()
        return taken

    def _begin_member(self, block: bytes) -> None:
        if block.count(0) == BLOCK_BYTES:
            self._ended = True
            return
        if self._ended:
            raise MalformedUpload("the tar goes on after its end marker; send one archive, uncompressed")
        member = _parse_header(block)
        if member.type in (tarfile.XHDTYPE, tarfile.XGLTYPE) and member.size <= MAX_PAX_BYTES:
            self._sink = _skip
        elif member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            self._sink = self._open_member(member.name, member.size)
        else:
            raise MalformedUpload(f"tar member {member.name!r} is no regular file; send only the files of the bundle")
        self._payload_left = member.size
        self._padding_left = -member.size % BLOCK_BYTES


def _parse_header(block: bytes) -> tarfile.TarInfo:
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise MalformedUpload(f"the body is no uncompressed tar: {error}") from error
    if member.size < 0:
        raise MalformedUpload(f"tar member {member.name!r} has the size {member.size}")
    return member


def tar_size_bytes(sizes: list[int]) -> int:
    """Length of the archive that `write_tar` makes of files of these sizes."""
    return sum(BLOCK_BYTES + size + -size % BLOCK_BYTES for size in sizes) + 2 * BLOCK_BYTES


def write_tar(files: list[tuple[Path, int]], chunk_bytes: int = 64 * 1024) -> Iterator[bytes]:
    """The archive of (path, size in bytes), piece by piece; owners, modes and times are left out."""
    for path, size in files:
        member = tarfile.TarInfo(path.name)
        member.size = size
        yield member.tobuf(tarfile.USTAR_FORMAT)
        with path.open("rb") as file:
            while chunk := file.read(chunk_bytes):
                yield chunk
        yield bytes(-size % BLOCK_BYTES)
    yield bytes(2 * BLOCK_BYTES)
