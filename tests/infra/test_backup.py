"""The registry's backup, on a folder: what it copies, what it leaves out, and what a broken run leaves behind."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.infra.playing import ANSIBLE

SCRIPT = ANSIBLE / "roles/registry_host/files/backup.sh"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The registry's folder, with a blob and an upload under way."""
    folder = tmp_path / "state"
    (folder / "blobs/sha256").mkdir(parents=True)
    (folder / "blobs/incoming/upload").mkdir(parents=True)
    (folder / "blobs/sha256/aa").write_text("a blob")
    (folder / "blobs/incoming/upload/part").write_text("half a blob")
    (folder / "tokens.json").write_text("[]")
    with sqlite3.connect(folder / "registry.sqlite3") as database:
        database.execute("create table bundles (name)")
        database.execute("insert into bundles values ('hrnet-edge-s')")
    (tmp_path / "backups").mkdir()
    return folder


def _back_up(state: Path, keep: int = 7, path: str = "/usr/bin:/bin") -> int:
    command = [str(SCRIPT), str(state), str(state.parent / "backups"), str(keep), sys.executable]
    return subprocess.run(command, env={"PATH": path}, check=False).returncode


def _copies(state: Path) -> list[Path]:
    return sorted((state.parent / "backups").iterdir())


def test_a_copy_restores_the_registry_without_uploads_under_way(state: Path, tmp_path: Path) -> None:
    assert _back_up(state) == 0
    (copy,) = _copies(state)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not (state / "backup.sqlite3").exists()
    restored = tmp_path / "restored"
    with tarfile.open(copy) as archive:
        archive.extractall(restored, filter="data")
    files = {str(path.relative_to(restored)) for path in restored.rglob("*") if path.is_file()}
    assert files == {"registry.sqlite3", "tokens.json", "blobs/sha256/aa"}
    with sqlite3.connect(restored / "registry.sqlite3") as database:
        assert database.execute("select name from bundles").fetchall() == [("hrnet-edge-s",)]


def test_a_registry_that_gave_no_token_yet_is_copied_too(state: Path) -> None:
    (state / "tokens.json").unlink()
    assert _back_up(state) == 0
    (copy,) = _copies(state)
    with tarfile.open(copy) as archive:
        assert {"registry.sqlite3", "blobs/sha256/aa"} < set(archive.getnames())


@pytest.mark.parametrize(("code", "copies"), [(1, 1), (2, 0)])
def test_a_file_that_changes_is_no_failure_and_a_failure_leaves_nothing(state: Path, code: int, copies: int) -> None:
    """tar exits with 1 where a file changed or went while it was read, with 2 where it could not be written."""
    stubs = state.parent / "stubs"
    stubs.mkdir()
    (stubs / "tar").write_text(f'#!/bin/sh\n/bin/tar "$@" || exit\nexit {code}\n')
    (stubs / "tar").chmod(0o755)
    assert (_back_up(state, path=f"{stubs}:/usr/bin:/bin") == 0) is bool(copies)
    assert [copy.suffix for copy in _copies(state)] == [".tar"] * copies


def test_what_a_killed_run_left_never_becomes_a_copy(state: Path) -> None:
    backups = state.parent / "backups"
    for name in ("plumbline-registry.tar.part", "plumbline-registry-20250101T000000.tar.part"):
        (backups / name).write_text("half an archive")
    assert _back_up(state) == 0
    (copy,) = _copies(state)
    assert tarfile.is_tarfile(copy)


def test_the_newest_copies_are_kept(state: Path) -> None:
    backups = state.parent / "backups"
    for day in range(1, 5):
        (backups / f"plumbline-registry-2025010{day}T000000.tar").touch()
    assert _back_up(state, keep=3) == 0
    assert [copy.name for copy in _copies(state)][:2] == [
        f"plumbline-registry-2025010{day}T000000.tar" for day in (3, 4)
    ]
    assert len(_copies(state)) == 3
