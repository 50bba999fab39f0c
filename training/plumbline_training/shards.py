"""Pictures in uncompressed tar shards, read in place: few large files copy and list faster than a hundred thousand.

A picture in a shard has a path that goes through it: shards/lspet-000.tar/im00001.webp.
"""

from __future__ import annotations

import functools
import tarfile
from pathlib import Path
from posixpath import normpath
from typing import NamedTuple

from plumbline_training.errors import InvalidDataset

SUFFIX = ".tar"


class Member(NamedTuple):
    """Where a file's bytes lie in its shard."""

    offset: int
    size: int


@functools.cache
def members(shard: Path) -> dict[str, Member]:
    """The files of a shard by name. Raises InvalidDataset for one that is compressed, truncated or no tar."""
    try:
        with tarfile.open(shard, "r:") as archive:
            # `tar -C pictures -c .` calls its members ./a.jpg.
            found = {normpath(item.name): Member(item.offset_data, item.size) for item in archive if item.isreg()}
        length = shard.stat().st_size
    except OSError as error:
        raise InvalidDataset(f"{str(shard)!r}: {error.strerror}; check the dataset's `images`") from error
    except tarfile.TarError as error:
        raise InvalidDataset(f"{str(shard)!r} is no uncompressed tar ({error}); pack or fetch it again") from error
    if any(member.offset + member.size > length for member in found.values()):
        raise InvalidDataset(f"{str(shard)!r} ends early; fetch it again")
    return found


def shards_of(images: Path) -> tuple[Path, ...]:
    """The shards that a dataset's `images` names: a tar file, or a folder that holds nothing but such; else none."""
    if images.suffix == SUFFIX and images.is_file():
        return (images,)
    return tuple(sorted(images.glob(f"*{SUFFIX}"))) if images.is_dir() else ()


def picture_paths(images: Path) -> dict[str, Path]:
    """Paths through the shards by a picture's file name; empty where the pictures lie in a folder."""
    return {name: shard / name for shard in shards_of(images) for name in members(shard)}


def _shard_of(path: Path) -> Path | None:
    return next((parent for parent in path.parents if parent.suffix == SUFFIX and parent.is_file()), None)


def size_bytes(path: Path) -> int | None:
    """How large a picture is, in a folder or in a shard; None where there is none."""
    if path.is_file():
        return path.stat().st_size
    shard = _shard_of(path)
    member = members(shard).get(path.relative_to(shard).as_posix()) if shard is not None else None
    return None if member is None else member.size


def exists(path: Path) -> bool:
    """Whether there is such a picture, in a folder or in a shard."""
    return size_bytes(path) is not None


def read_bytes(path: Path) -> bytes:
    """A file's bytes, from a folder or a shard. Raises OSError as reading a file does."""
    try:
        return path.read_bytes()
    except NotADirectoryError:
        shard = _shard_of(path)
        member = members(shard).get(path.relative_to(shard).as_posix()) if shard is not None else None
        if shard is None or member is None:
            raise
        with shard.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)
