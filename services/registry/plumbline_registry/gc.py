"""Removes blobs that no version names, while the registry serves and takes uploads."""

from __future__ import annotations

from datetime import timedelta

from plumbline_registry.blobs import FolderBlobStore
from plumbline_registry.catalogue import Catalogue

MIN_AGE = timedelta(hours=1)
"""A publish stores its blobs first and its row last: a blob without a row is garbage only once it is older than any
publish can take. Sending a stored blob again makes it young again."""


def collect_garbage(catalogue: Catalogue, blobs: FolderBlobStore, min_age: timedelta = MIN_AGE) -> tuple[int, int]:
    """Number and bytes of the blobs removed. Raises StorageUnavailable."""
    removed = removed_bytes = 0
    # What is old is listed before what is named, so that a version published in between keeps its blobs.
    candidates = blobs.older_than(min_age)
    named = catalogue.digests()
    for sha256 in candidates:
        if sha256 not in named and (size_bytes := blobs.remove_if_older(sha256, min_age)) is not None:
            removed, removed_bytes = removed + 1, removed_bytes + size_bytes
    return removed, removed_bytes
