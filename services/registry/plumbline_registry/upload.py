"""One publish: what arrives is staged and hashed, compared with its manifest, and only then made visible."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from plumbline_contract.errors import DigestMismatch
from plumbline_contract.evaluation import MAX_BYTES as MAX_EVALUATION_BYTES
from plumbline_contract.evaluation import read_evaluation
from plumbline_contract.manifest import (
    BUNDLE_FILES,
    EVALUATION_FILE,
    MANIFEST_FILE,
    OPTIONAL_FILES,
    AnyManifest,
    parse_any_manifest,
    require_publishable,
)
from plumbline_registry.blobs import BlobStore, StagedBlob
from plumbline_registry.errors import MalformedUpload, WrongAddress
from plumbline_registry.settings import MAX_MANIFEST_BYTES
from plumbline_registry.tar import Sink, TarReader

EXPECTED_FILES: Final = (MANIFEST_FILE, *BUNDLE_FILES)
_LIMITS: Final = {MANIFEST_FILE: MAX_MANIFEST_BYTES, EVALUATION_FILE: MAX_EVALUATION_BYTES}
"""Of the files that are read whole."""


class BundleUpload:
    """Used as a context manager: whatever was not committed by the end of the block is gone after it."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._staged: dict[str, StagedBlob] = {}
        self._reader = TarReader(self._open_member)

    def __enter__(self) -> BundleUpload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for staged in self._staged.values():
            staged.discard()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the tar. Raises MalformedUpload, StorageFull, StorageUnavailable."""
        self._reader.feed(chunk)

    def finish(self, name: str, version: str) -> AnyManifest:
        """Check the whole bundle against its manifest and the address it was sent to.

        Raises MalformedUpload, InvalidManifest, UnpublishableBundle, WrongAddress, DigestMismatch, InvalidEvaluation.
        """
        self._reader.finish()
        if missing := [file for file in EXPECTED_FILES if file not in self._staged]:
            raise MalformedUpload(f"the tar lacks {', '.join(missing)}; a bundle is {', '.join(EXPECTED_FILES)}")
        manifest = parse_any_manifest(self._staged[MANIFEST_FILE].read())
        require_publishable(manifest)
        if (manifest.name, manifest.version) != (name, version):
            raise WrongAddress(
                f"the manifest is of {manifest.name!r} {manifest.version!r}, the address of {name!r} {version!r};"
                " send it to its own address"
            )
        self._compare(manifest)
        if EVALUATION_FILE in self._staged:
            read_evaluation(self._staged[EVALUATION_FILE].read())
        return manifest

    @property
    def manifest_sha256(self) -> str:
        return self._staged[MANIFEST_FILE].sha256

    @property
    def manifest_bytes(self) -> int:
        return self._staged[MANIFEST_FILE].size_bytes

    @property
    def digests(self) -> set[str]:
        """Of every file."""
        return {staged.sha256 for staged in self._staged.values()}

    def commit(self) -> None:
        """Make the blobs visible, each under its digest. Raises StorageFull, StorageUnavailable."""
        for staged in self._staged.values():
            staged.commit()

    def _compare(self, manifest: AnyManifest) -> None:
        if differing := set(manifest.files) ^ (set(self._staged) - {MANIFEST_FILE}):
            raise MalformedUpload(f"manifest and tar do not name the same files: {sorted(differing)}; seal it again")
        for file, expected in manifest.files.items():
            staged = self._staged[file]
            if staged.sha256 != expected.sha256:
                raise DigestMismatch(file, expected.sha256, staged.sha256)
            if staged.size_bytes != expected.size_bytes:
                raise MalformedUpload(
                    f"{file} has {staged.size_bytes} bytes, the manifest says {expected.size_bytes};"
                    " seal the bundle again"
                )

    def _open_member(self, name: str, size_bytes: int) -> Sink:
        if name not in (*EXPECTED_FILES, *OPTIONAL_FILES):
            raise MalformedUpload(f"tar member {name!r} is no part of a bundle, which is {', '.join(EXPECTED_FILES)}")
        if name in self._staged:
            raise MalformedUpload(f"tar member {name!r} comes twice")
        if size_bytes > (limit := _LIMITS.get(name, size_bytes)):
            raise MalformedUpload(f"{name} has {size_bytes} bytes; at most {limit} are read")
        staged = self._staged[name] = self._blobs.stage()
        return staged.write
