"""The running bundle follows the active one, and keeps what it has while that can't be used."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from tests.edge.bundles import copy_bundle

from plumbline_edge.bundle import open_bundle
from plumbline_edge.errors import BundleUnusable
from plumbline_edge.judging import RunningJudge
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.running import RunningBundle
from plumbline_edge.settings import load_settings
from plumbline_edge.state import StateFolder


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said = list[str]()
    monkeypatch.setattr("plumbline_edge.running.warn", said.append)
    return said


def bring(state: StateFolder, version: str) -> str:
    """Put dots of this version into the state folder, in place of what lies there, and activate it."""
    downloaded = copy_bundle(state.folder.parent / "downloaded", version=version)
    digest = open_bundle(downloaded).manifest_sha256
    with state.locked():
        state.keep(downloaded, digest)
        state.activate(digest)
    return digest


def test_it_changes_over_once(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    bring(state, "1.0.0")
    running = RunningBundle(load_settings(state=state.folder, threads=1), EdgeMetrics())
    assert not running.follow()
    bring(state, "1.1.0")
    assert running.follow()
    assert running.bundle.manifest.version == "1.1.0"
    bring(state, "1.1.0")
    assert not running.follow()


def test_a_refused_bundle_is_tried_again_after_a_rollback(tmp_path: Path, warnings: list[str]) -> None:
    state = StateFolder(tmp_path / "state")
    bring(state, "1.0.0")
    running = RunningBundle(load_settings(state=state.folder, threads=1), EdgeMetrics())
    digest = bring(state, "1.1.0")
    model = state.active / "model.tflite"
    whole = model.read_bytes()
    model.write_bytes(b"damaged")
    assert not running.follow()
    assert not running.follow()
    assert len(warnings) == 1
    state.roll_back()
    assert not running.follow()
    (state.bundle_folder(digest) / "model.tflite").write_bytes(whole)
    state.activate(digest)
    assert running.follow()
    assert running.bundle.manifest.version == "1.1.0"


def test_a_refused_bundle_that_is_brought_again_is_tried_again(tmp_path: Path, warnings: list[str]) -> None:
    state = StateFolder(tmp_path / "state")
    bring(state, "1.0.0")
    running = RunningBundle(load_settings(state=state.folder, threads=1), EdgeMetrics())
    bring(state, "1.1.0")
    (state.active / "model.tflite").write_bytes(b"damaged")
    assert not running.follow()
    bring(state, "1.1.0")
    assert running.follow()
    assert len(warnings) == 1


def unreadable(monkeypatch: pytest.MonkeyPatch, number: int, reason: str) -> None:
    """From now on no link can be read, and nothing looked at through one."""

    def fail(path: Path, **_: object) -> None:
        raise OSError(number, reason, str(path))

    for name in ("readlink", "is_symlink", "is_dir", "stat"):
        monkeypatch.setattr(Path, name, fail)


def test_a_state_folder_of_another_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, said = load_settings(state=tmp_path, threads=1), list[str]()
    monkeypatch.setattr("plumbline_edge.judging.warn", said.append)
    unreadable(monkeypatch, errno.EACCES, "Permission denied")
    with pytest.raises(BundleUnusable, match="Permission denied; run as its owner, or give --state"):
        RunningBundle(settings, EdgeMetrics())
    assert RunningJudge(settings).begun_with is None
    assert "Permission denied; run as its owner, or give --state" in said[0]


def test_a_disk_that_cannot_be_read_for_a_while_ends_no_following(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateFolder(tmp_path / "state")
    bring(state, "1.0.0")
    running = RunningBundle(load_settings(state=state.folder, threads=1), EdgeMetrics())
    with monkeypatch.context() as broken:
        unreadable(broken, errno.EIO, "Input/output error")
        assert not running.follow()
    assert not running.follow()
    bring(state, "1.1.0")
    assert running.follow()
