"""The tar reader is pushed chunks of any size, and reads what the writer and other tools write."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from plumbline_registry.errors import MalformedUpload
from plumbline_registry.tar import Sink, TarReader, tar_size_bytes, write_tar

CONTENTS = {"a": b"", "b": b"x", "c": b"y" * 511, "d": b"z" * 512, "e": b"w" * 5000}


def written(folder: Path) -> bytes:
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return b"".join(write_tar([(folder / name, len(content)) for name, content in CONTENTS.items()], chunk_bytes=100))


def read(archive: bytes, chunk_bytes: int) -> dict[str, bytes]:
    members: dict[str, bytearray] = {}

    def open_member(name: str, size_bytes: int) -> Sink:
        assert size_bytes == len(CONTENTS[name])
        members[name] = bytearray()
        return members[name].extend

    reader = TarReader(open_member)
    for begin in range(0, len(archive), chunk_bytes):
        reader.feed(archive[begin : begin + chunk_bytes])
    reader.finish()
    return {name: bytes(content) for name, content in members.items()}


@pytest.mark.parametrize("chunk_bytes", [1, 7, 511, 512, 513, 100_000])
def test_chunks_of_any_size(chunk_bytes: int, tmp_path: Path) -> None:
    assert read(written(tmp_path), chunk_bytes) == CONTENTS


def test_written_tar_is_one_to_others_and_has_the_told_size(tmp_path: Path) -> None:
    archive = written(tmp_path)
    assert len(archive) == tar_size_bytes([len(content) for content in CONTENTS.values()])
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            assert file.read() == CONTENTS[member.name]


def test_damaged_archives_are_refused_or_read_but_never_crash(tmp_path: Path) -> None:
    archive = written(tmp_path)
    random = np.random.default_rng(7)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(archive)
        for place in random.integers(0, len(archive), size=random.integers(1, 8)):
            damaged[place] = random.integers(0, 256)
        reader = TarReader(lambda _name, _size: lambda _data: None)
        try:
            reader.feed(bytes(damaged))
            reader.finish()
        except MalformedUpload:
            refused += 1
    assert 100 < refused < 2000


def test_negative_size_is_refused() -> None:
    member = tarfile.TarInfo("model.tflite")
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT)[:512])
    block[124:136] = b"\xff" * 12
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    with pytest.raises(MalformedUpload, match="size"):
        TarReader(lambda _name, _size: lambda _data: None).feed(bytes(block))
