"""The folder of an operator's keys: `root.json`, which devices trust, and private keys that never meet the registry.

<keys>/root.json              the trust anchor; public, copied to devices
<keys>/private/<role>.pem     ed25519; move each to where its role is signed (root: offline, timestamp: the signer)
<keys>/seen/                  metadata seen last, so that a registry cannot show an operator an older state
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from plumbline_registry.errors import RegistryError
from plumbline_registry.trust.roles import ROLES

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
            self._private.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(self._private / f"{role}.pem", signer.private_bytes, 0o600)
        except OSError as error:
            raise KeysUnusable(
                f"key of {role} cannot be written to {str(self._private)!r}: {error.strerror}"
            ) from error

    def signer(self, role: str) -> CryptoSigner:
        """The key of a role. Raises KeysUnusable."""
        path = self._private / f"{role}.pem"
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
        return all((self._private / f"{role}.pem").is_file() for role in roles)

    def is_fresh(self) -> bool:
        """Whether nothing is here that `init` would overwrite."""
        return not (self.folder / ROOT_FILE).exists() and not any(self.holds(role) for role in ROLES)

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
        """Replace the trust anchor by a newer version that was verified against it."""
        write_atomically(self.folder / ROOT_FILE, content, 0o644)


def write_atomically(path: Path, content: bytes, mode: int) -> None:
    """Write beside and rename, so that a reader sees the old content or the new."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
