"""The folder of an operator's keys: `root.json`, which devices trust, and private keys that never meet the registry.

<keys>/root.json              the trust anchor; public, copied to devices
<keys>/private/<role>.pem     ed25519; move each to where its role is signed (root: offline, timestamp: the signer)
<keys>/private/next-…         a rotation's new key until the registry is known to follow it; then it is <role>.pem
<keys>/private/retired-…      what a rotation ended; unused-…: a next key that the registry did not follow
<keys>/seen/                  metadata seen last, so that a registry cannot show an older state; made at the first look
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from plumbline_registry.disk import sync_folder
from plumbline_registry.errors import RegistryError

ROOT_FILE: Final = "root.json"


class KeysUnusable(RegistryError):
    """A key, or the trust anchor beside the keys, is missing or cannot be read."""


class KeysFolder:
    """The keys that this machine holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = folder / "seen"
        self._private = folder / "private"

    def generate(self, role: str) -> CryptoSigner:
        """A new key of a role, replacing the folder's. Raises KeysUnusable."""
        signer = CryptoSigner.generate_ed25519()
        self.store(role, signer)
        return signer

    def store(self, role: str, signer: CryptoSigner) -> None:
        """Write a key, readable by its owner alone. Raises KeysUnusable."""
        try:
            self._make_private()
            write_atomically(self._path(role), signer.private_bytes, 0o600)
        except OSError as error:
            raise self._unwritable(role, error) from error

    def store_next(self, role: str, signer: CryptoSigner) -> None:
        """Write the key that a role shall get, beside its present one. Raises KeysUnusable."""
        earlier = self._path(_next(role))
        try:
            if earlier.is_file():
                # Not deleted: whoever withheld the document that names it may still show it to devices.
                earlier.replace(self._path(f"unused-{role}-{_stamp()}"))
        except OSError as error:
            raise self._unwritable(_next(role), error) from error
        self.store(_next(role), signer)

    def next_signer(self, role: str) -> CryptoSigner | None:
        """The key of a rotation that did not come to its end. Raises KeysUnusable."""
        return self.signer(_next(role)) if self.holds(_next(role)) else None

    def replace(self, role: str, signer: CryptoSigner) -> None:
        """Put a role's next key in the place of its present one, which is kept as retired. Raises KeysUnusable."""
        try:
            if self.holds(role) and (old := self._path(role).read_bytes()) != signer.private_bytes:
                write_atomically(self._path(f"retired-{role}-{_stamp()}"), old, 0o600)
            self.store(role, signer)
            self._path(_next(role)).unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(role, error) from error

    def signer(self, role: str) -> CryptoSigner:
        """The key of a role. Raises KeysUnusable."""
        path = self._path(role)
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise KeysUnusable(
                f"key of {role!r}: {str(path)!r} cannot be read ({error}); signing for {role} needs it, give its folder"
                " with --keys"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeysUnusable(f"key of {role!r}: {str(path)!r} is no ed25519 key; make one with `rotate {role}`")
        return CryptoSigner(key)

    def holds(self, *roles: str) -> bool:
        """Whether the keys of all these roles are here."""
        return all(self._path(role).is_file() for role in roles)

    def is_fresh(self) -> bool:
        """Whether no `init` went through here yet: the trust anchor is what it writes last."""
        return not (self.folder / ROOT_FILE).exists()

    def root(self) -> bytes:
        """The trust anchor. Raises KeysUnusable."""
        path = self.folder / ROOT_FILE
        try:
            return path.read_bytes()
        except OSError as error:
            raise KeysUnusable(
                f"trust anchor {str(path)!r}: {error.strerror}; give the folder that `plumbline-registry init` wrote"
                " with --keys"
            ) from error

    def keep_root(self, content: bytes) -> None:
        """Write the trust anchor: the first, or a newer version that was verified against it. Raises KeysUnusable."""
        path = self.folder / ROOT_FILE
        try:
            write_atomically(path, content, 0o644)
        except OSError as error:
            raise KeysUnusable(f"trust anchor {str(path)!r} cannot be written: {error.strerror}") from error

    def last_seen(self, role: str) -> bytes | None:
        """The role's document that was remembered last; None at the first look. Raises KeysUnusable."""
        return self._seen(self.seen / f"{role}.json")

    def seen_root(self, version: int) -> bytes | None:
        """A root that python-tuf kept (`view`). Raises KeysUnusable."""
        return self._seen(self.seen / "root_history" / f"{version}.{ROOT_FILE}")

    def _seen(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeysUnusable(f"what was seen last, {str(path)!r}, cannot be read: {error.strerror}") from error

    def remember(self, role: str, content: bytes) -> None:
        """Keep a verified document as the one seen last. Raises KeysUnusable."""
        if self.last_seen(role) == content:
            return
        try:
            self.seen.mkdir(parents=True, exist_ok=True)
            write_atomically(self.seen / f"{role}.json", content, 0o644)
        except OSError as error:
            raise KeysUnusable(
                f"what was seen last cannot be written to {str(self.seen)!r}: {error.strerror}; who signs must be able"
                " to write there"
            ) from error

    def _path(self, name: str) -> Path:
        return self._private / f"{name}.pem"

    def _make_private(self) -> None:
        if not self._private.is_dir():
            self._private.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(self.folder)
            sync_folder(self.folder.parent)

    def _unwritable(self, role: str, error: OSError) -> KeysUnusable:
        return KeysUnusable(f"key of {role} cannot be written to {str(self._private)!r}: {error.strerror}")


def write_atomically(path: Path, content: bytes, mode: int) -> None:
    """Write beside and rename, so that a reader sees the old content or the new."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def _next(role: str) -> str:
    return f"next-{role}"


def _stamp() -> str:
    return datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S%f")
