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


def pack(wheels: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PACK), *map(str, (wheels, *arguments))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def members(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def digest(content: bytes) -> str:
    return f"--hash=sha256:{hashlib.sha256(content).hexdigest()}"


def test_lock_names_the_digest_of_every_wheel(folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, wheelhouse = folders
    done = pack(wheels, locks, "edge", "--wheelhouse", wheelhouse)
    assert done.returncode == 0, done.stderr
    content = members(wheels / "dependencies.tar")
    assert set(content) == {path.name for path in wheelhouse.iterdir()} | {"edge-py311.txt"}
    numpy = " ".join(digest(f"numpy-2.4.6-cp{tag}-cp{tag}-x86_64.whl".encode()) for tag in (311, 312))
    assert content["edge-py311.txt"].decode().splitlines() == [
        f"numpy==2.4.6 {numpy}",
        f'ai-edge-litert==2.3.0 ; sys_platform != "win32" {digest(b"ai_edge_litert-2.3.0-a.whl")}',
        "absent==1.0",
    ]


def test_what_every_release_takes_is_ours_alone(folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, wheelhouse = folders
    assert pack(wheels, locks, "edge", "--wheelhouse", wheelhouse).returncode == 0
    assert members(wheels / "release.tar") == {
        "plumbline_edge-0.1.0-py3-none-any.whl": b"ours",
        "SHA256SUMS": "…".encode(),
    }


def test_same_content_gives_the_same_bytes(folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, wheelhouse = folders
    made = []
    for _ in range(2):
        pack(wheels, locks, "edge", "--wheelhouse", wheelhouse)
        tars = [wheels / "release.tar", wheels / "dependencies.tar"]
        made.append([tar.read_bytes() for tar in tars])
        for tar in tars:
            tar.unlink()
    assert made[0] == made[1]


def test_without_a_wheelhouse_the_lock_stays_as_it_is(folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, _ = folders
    assert pack(wheels, locks, "edge").returncode == 0
    assert members(wheels / "dependencies.tar") == {"edge-py311.txt": LOCK.encode()}


def test_empty_wheelhouse_is_named(tmp_path: Path, folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, _ = folders
    (tmp_path / "empty").mkdir()
    done = pack(wheels, locks, "edge", "--wheelhouse", tmp_path / "empty")
    assert done.returncode == 2
    assert "empty' holds no *.whl" in done.stderr
    assert not list(wheels.glob("*.tar"))


def test_what_was_packed_of_the_same_files_is_not_packed_again(folders: tuple[Path, Path, Path]) -> None:
    wheels, locks, wheelhouse = folders
    arguments, tar = (wheels, locks, "edge", "--wheelhouse", wheelhouse), wheels / "dependencies.tar"
    made = [pack(*arguments).returncode, tar.stat().st_ino]
    assert [pack(*arguments).returncode, tar.stat().st_ino] == made
    (wheelhouse / "numpy-2.4.6-cp311-cp311-x86_64.whl").write_bytes(b"another of the same name")
    release = (wheels / "release.tar").stat().st_ino
    assert pack(*arguments).returncode == 0
    assert members(tar)["numpy-2.4.6-cp311-cp311-x86_64.whl"] == b"another of the same name"
    assert (wheels / "release.tar").stat().st_ino == release, "nothing of ours changed"
    tar.unlink()
    assert pack(*arguments).returncode == 0
    assert tar.exists()
