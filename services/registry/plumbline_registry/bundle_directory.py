"""A bundle as a directory on the publisher's disk, checked before a byte of it is sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from plumbline_contract.errors import DigestMismatch
from plumbline_contract.manifest import (
    BUNDLE_FILES,
    MANIFEST_FILE,
    OPTIONAL_FILES,
    AnyManifest,
    parse_any_manifest,
    require_publishable,
)
from plumbline_registry.errors import RegistryError


class UnreadableBundle(RegistryError):
    """A directory is no bundle, or a file of it cannot be read."""


@dataclass(frozen=True)
class BundleDirectory:
    """A bundle whose files hash to what its manifest says."""

    manifest: AnyManifest
    files: list[tuple[Path, int]]
    """Path and size in bytes of each file, the manifest first."""

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size in self.files)


def read_bundle_directory(directory: Path) -> BundleDirectory:
    """Raises UnreadableBundle, InvalidManifest, UnpublishableBundle, DigestMismatch."""
    paths = [directory / file for file in (MANIFEST_FILE, *BUNDLE_FILES)]
    try:
        manifest = parse_any_manifest(paths[0].read_bytes())
        require_publishable(manifest)
        paths += [directory / file for file in OPTIONAL_FILES if file in manifest.files]
        for path in paths[1:]:
            _check_digest(path, manifest.files[path.name].sha256)
        return BundleDirectory(manifest, [(path, path.stat().st_size) for path in paths])
    except OSError as error:
        raise UnreadableBundle(
            f"bundle {str(directory)!r}: {error.strerror}: {str(error.filename)!r}; a bundle directory holds"
            f" {', '.join(path.name for path in paths)}"
        ) from error


def _check_digest(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        raise DigestMismatch(str(path), expected, actual)
