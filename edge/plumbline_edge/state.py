"""The state folder: bundles by the digest of their manifest, and the link that says which one is active.

<state>/bundles/<manifest_sha256>/   complete, verified bundles
<state>/active, previous, older      links to the last three, replaced atomically: when the active one must go, two
                                     that were good are left
<state>/incoming/<manifest_sha256>/  the download under way; the next update goes on with it
<state>/trust/                       signed metadata seen last (python-tuf's)
<state>/updates.json                 what the updater remembers
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from plumbline_edge.errors import BundleUnusable, UpdateInProgress

NO_LINK: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EINVAL})


class StateFolder:
    """The folder of one device's bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.active = folder / "active"
        self.previous = folder / "previous"
        self.older = folder / "older"
        self._bundles = folder / "bundles"
        self._incoming = folder / "incoming"

    def bundle_folder(self, manifest_sha256: str) -> Path:
        """Where the bundle with this manifest lies once it is here."""
        return self._bundles / manifest_sha256

    def active_sha256(self) -> str | None:
        """The manifest digest of the active bundle; None when there is none.

        Raises BundleUnusable where that cannot be read.
        """
        try:
            return _target(self.active)
        except OSError as error:
            raise self._unreadable(error) from error

    def active_bundle_folder(self) -> Path:
        """The active bundle's folder. Raises BundleUnusable when there is none."""
        try:
            is_there = self.active.is_dir()
        except OSError as error:
            raise self._unreadable(error) from error
        if not is_there:
            raise BundleUnusable(
                f"no bundle is active in {str(self.folder)!r}; give --bundle DIR, or fetch one with:"
                " plumbline-edge update"
            )
        return self.active.resolve()

    def _unreadable(self, error: OSError) -> BundleUnusable:
        return BundleUnusable(
            f"state folder {str(self.folder)!r}: {error.strerror or error}; run as its owner, or give --state"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for an update. Raises UpdateInProgress, OSError."""
        self._bundles.mkdir(parents=True, exist_ok=True)
        with (self.folder / "update.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UpdateInProgress(
                    f"another update is running in {str(self.folder)!r}; wait until it has ended"
                ) from error
            yield

    def incoming_folder(self, manifest_sha256: str) -> Path:
        """The folder of this bundle's download, with what an earlier update left in it."""
        folder = self._incoming / manifest_sha256
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear_incoming(self, wanted_sha256: str | None) -> None:
        """Remove all downloads but the one of this bundle."""
        if self._incoming.exists():
            for folder in self._incoming.iterdir():
                if folder.name != wanted_sha256:
                    shutil.rmtree(folder)

    def keep(self, downloaded: Path, manifest_sha256: str) -> Path:
        """Move a verified download to its place, over a damaged one of the same digest."""
        place = self.bundle_folder(manifest_sha256)
        if place.exists():
            shutil.rmtree(place)
        sync_folder(downloaded)
        downloaded.rename(place)
        sync_folder(self._bundles)
        return place

    def activate(self, manifest_sha256: str) -> None:
        """Point `active` at a kept bundle in one step, and `previous` and `older` at the two before it."""
        before = _target(self.active)
        if before == manifest_sha256:
            return
        if before is not None:
            older = _target(self.previous)
            if older is not None and older not in (before, manifest_sha256):
                self._link(self.older, older)
            self._link(self.previous, before)
        self._link(self.active, manifest_sha256)

    def roll_back(self) -> str | None:
        """Make the previous bundle active again, and the one before it the previous.

        Gives the digest of the one that is active then, None where there is none.
        """
        before = _target(self.previous)
        if before is None:
            return None
        self._link(self.active, before)
        if (older := _target(self.older)) is None or older == before:
            self.previous.unlink()
        else:
            self._link(self.previous, older)
        return before

    def prune(self) -> None:
        """Delete all bundles that no link names."""
        kept = {_target(link) for link in (self.active, self.previous, self.older)}
        for folder in self._bundles.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _link(self, link: Path, manifest_sha256: str) -> None:
        temporary = self.folder / f".{link.name}.new"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path("bundles") / manifest_sha256)
        temporary.replace(link)
        sync_folder(self.folder)


def _target(link: Path) -> str | None:
    try:
        return link.readlink().name
    except OSError as error:
        if error.errno in NO_LINK:
            return None
        raise


def sync_folder(folder: Path) -> None:
    """Let what was linked or renamed in a folder outlive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
