"""Manifests of published versions, parsed; since they never change, the last ones read are kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from plumbline_contract.evaluation import MAX_BYTES, EvaluationRecord, read_evaluation
from plumbline_contract.manifest import EVALUATION_FILE, AnyManifest, parse_any_manifest
from plumbline_registry.blobs import BlobStore
from plumbline_registry.settings import MAX_MANIFEST_BYTES

_KEPT: Final = 256


class Manifests:
    """Reads small files of bundles from the blob store. Every method raises UnknownBlob, StorageUnavailable."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self.manifest = lru_cache(_KEPT)(self._manifest)

    def _manifest(self, manifest_sha256: str) -> AnyManifest:
        return parse_any_manifest(self._whole(manifest_sha256, MAX_MANIFEST_BYTES))

    def evaluation(self, manifest: AnyManifest) -> EvaluationRecord | None:
        """A bundle's evaluation picture by picture; None where it carries none."""
        file = manifest.files.get(EVALUATION_FILE)
        return None if file is None else read_evaluation(self._whole(file.sha256, MAX_BYTES))

    def _whole(self, sha256: str, limit_bytes: int) -> bytes:
        size = min(self._blobs.size(sha256), limit_bytes)
        return b"".join(self._blobs.read(sha256, 0, size))
