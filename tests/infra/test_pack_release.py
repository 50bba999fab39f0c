"""What a machine installs from travels as one file, in which every wheel stands with its digest."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.infra.machine import ROOT

PACK = ROOT / "infra/ansible/roles/python_release/files/pack_release.py"
LOCK = 'numpy==2.4.6\nai-edge-litert==2.3.0 ; sys_platform != "win32"\nabsent==1.0\n'


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    wheels, locks, wheelhouse = (tmp_path / name for name in ("wheels", "locks", "wheelhouse"))
    for folder in (wheels, locks, wheelhouse):
        folder.mkdir()
    (wheels / "plumbline_edge-0.1.0-py3-none-any.whl").write_bytes(b"ours")
    (wheels / "SHA256SUMS").write_text("…")
    (locks / "edge-py311.txt").write_text(LOCK)
    (locks / "registry-py311.txt").write_text("other==1\n")
    for name in (
        "numpy-2.4.6-cp311-cp311-x86_64.whl",
        "numpy-2.4.6-cp312-cp312-x86_64.whl",
        "ai_edge_litert-2.3.0-a.whl",
    ):
        (wheelhouse / name).write_bytes(name.encode())
    return wheels, locks, wheelhouse


def pack(out: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PACK), str(out), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def members(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def digest(content: bytes) -> str:
    return f"--hash=sha256:{hashlib.sha256(content).hexdigest()}"


def test_lock_names_the_digest_of_every_wheel(tmp_path: Path, folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, wheelhouse = folders
    done = pack(tmp_path / "release.tar", wheels, locks, "edge", "--wheelhouse", wheelhouse)
    assert done.returncode == 0, done.stderr
    content = members(tmp_path / "release.tar")
    assert "registry-py311.txt" not in content
    numpy = " ".join(digest(f"numpy-2.4.6-cp{tag}-cp{tag}-x86_64.whl".encode()) for tag in (311, 312))
    assert content["edge-py311.txt"].decode().splitlines() == [
        f"numpy==2.4.6 {numpy}",
        f'ai-edge-litert==2.3.0 ; sys_platform != "win32" {digest(b"ai_edge_litert-2.3.0-a.whl")}',
        "absent==1.0",
        f"plumbline-edge==0.1.0 {digest(b'ours')}",
    ]


def test_same_content_gives_the_same_bytes(tmp_path: Path, folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, wheelhouse = folders
    for name in ("a.tar", "b.tar"):
        pack(tmp_path / name, wheels, locks, "edge", "--wheelhouse", wheelhouse)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_without_a_wheelhouse_the_lock_stays_as_it_is(tmp_path: Path, folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, _ = folders
    assert pack(tmp_path / "release.tar", wheels, locks, "edge").returncode == 0
    assert members(tmp_path / "release.tar")["edge-py311.txt"].decode() == LOCK


def test_empty_wheelhouse_is_named(tmp_path: Path, folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, _ = folders
    (tmp_path / "empty").mkdir()
    done = pack(tmp_path / "release.tar", wheels, locks, "edge", "--wheelhouse", tmp_path / "empty")
    assert done.returncode == 2
    assert "empty' holds no *.whl" in done.stderr
    assert not (tmp_path / "release.tar").exists()


def test_what_was_packed_of_the_same_files_is_not_packed_again(
    tmp_path: Path, folders: tuple[Path, Path, Path]
) -> None:
    wheels, locks, wheelhouse = folders
    arguments = (tmp_path / "release.tar", wheels, locks, "edge", "--wheelhouse", wheelhouse)
    made = [pack(*arguments).returncode, (tmp_path / "release.tar").stat().st_ino]
    assert [pack(*arguments).returncode, (tmp_path / "release.tar").stat().st_ino] == made
    (wheelhouse / "numpy-2.4.6-cp311-cp311-x86_64.whl").write_bytes(b"another of the same name")
    assert pack(*arguments).returncode == 0
    assert members(tmp_path / "release.tar")["numpy-2.4.6-cp311-cp311-x86_64.whl"] == b"another of the same name"
    (tmp_path / "release.tar").unlink()
    assert pack(*arguments).returncode == 0
    assert (tmp_path / "release.tar").exists()
