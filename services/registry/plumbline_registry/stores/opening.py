"""Which store the settings name."""

from __future__ import annotations

from plumbline_registry.blobs import BlobStore
from plumbline_registry.errors import StorageUnavailable
from plumbline_registry.settings import Settings
from plumbline_registry.stores.folder import FolderBlobStore


def open_store(settings: Settings) -> BlobStore:
    """The store of the settings, ready for use. Raises StorageFull, StorageUnavailable."""
    if settings.s3_bucket is None:
        return FolderBlobStore(settings.blob_dir)
    try:
        # Here and not above: a registry on a folder runs without the extra `s3`.
        from plumbline_registry.stores.s3 import S3BlobStore
    except ImportError as error:
        raise StorageUnavailable(f"object store: {error}; install plumbline-registry[s3]") from error
    return S3BlobStore(settings)
