"""Removes blobs that no version names, while the registry serves and takes uploads."""

from __future__ import annotations

from datetime import timedelta

from plumbline_registry.blobs import BlobStore
from plumbline_registry.catalogue import Catalogue
from plumbline_registry.leases import Leases

MIN_AGE = timedelta(hours=1)
"""Of blobs. Those of a publish under way are held besides, by leases with a least age of their own."""


def collect_garbage(
    catalogue: Catalogue, leases: Leases, blobs: BlobStore, min_age: timedelta = MIN_AGE
) -> tuple[int, int]:
    """Number and bytes of the blobs removed. Raises StorageUnavailable."""
    removed = removed_bytes = 0
    # What is old is listed before what is named, so that a version published in between keeps its blobs.
    candidates = blobs.older_than(min_age)
    named = catalogue.digests()
    for sha256 in candidates:
        if sha256 in named:
            continue
        with leases.removing(sha256, min_age) as free:
            size_bytes = blobs.remove_if_older(sha256, min_age) if free else None
        if size_bytes is not None:
            removed, removed_bytes = removed + 1, removed_bytes + size_bytes
    return removed, removed_bytes
