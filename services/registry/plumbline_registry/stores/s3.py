"""Blobs as objects of an S3-compatible store; the one file that knows obstore.

An upload is whole on this machine's disk, and hashed, before its object is put under its digest: an object is never
half a blob, and what a killed process leaves in the store is at most parts of a multipart upload, which nobody can see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from plumbline_registry.blobs import blob_key
from plumbline_registry.errors import StorageUnavailable, UnknownBlob
from plumbline_registry.settings import Settings
from plumbline_registry.stores.staging import StagedFile, Staging, storage_errors

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_PIECE_BYTES: Final = 256 * 1024
_PARTS_AT_ONCE: Final = 2
"""Parts of 5 MiB of one upload that are in memory."""
_RETRY: Final[RetryConfig] = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_PROBE: Final = "ready"


class S3BlobStore:
    """A BlobStore that any number of replicas share."""

    def __init__(self, settings: Settings) -> None:
        self._store = _client(settings, settings.s3_endpoint)
        # A signature covers the host: links are signed for the address that devices see.
        self._public = _client(settings, settings.s3_public_endpoint or settings.s3_endpoint)
        self._link_lasts = timedelta(seconds=settings.link_seconds)
        self._staging = Staging(settings.blob_dir / "incoming", self._place)

    def stage(self) -> StagedFile:
        return self._staging.stage()

    def size(self, sha256: str) -> int:
        with _errors(sha256):
            return obstore.head(self._store, str(blob_key(sha256)))["size"]

    def read(self, sha256: str, begin: int, end: int) -> Iterator[bytes]:
        with _errors(sha256):
            if begin == end:
                obstore.head(self._store, str(blob_key(sha256)))
                return iter(())
            found = obstore.get(self._store, str(blob_key(sha256)), options={"range": (begin, end)})
        return _pieces(sha256, found)

    def link(self, sha256: str) -> str | None:
        return obstore.sign(self._public, "GET", str(blob_key(sha256)), self._link_lasts)

    def older_than(self, age: timedelta) -> list[str]:
        limit = datetime.now(timezone.utc) - age
        with _errors("list"):
            pages = obstore.list(self._store, "sha256/")
            return [item["path"].rpartition("/")[2] for page in pages for item in page if item["last_modified"] < limit]

    def remove_if_older(self, sha256: str, age: timedelta) -> int | None:
        key = str(blob_key(sha256))
        with _errors(sha256):
            found = obstore.head(self._store, key)
            if found["last_modified"] >= datetime.now(timezone.utc) - age:
                return None
            obstore.delete(self._store, key)
            return found["size"]

    def check(self) -> None:
        with _errors(_PROBE):
            obstore.put(self._store, _PROBE, b"ready")
        self._staging.check()

    def close(self) -> None:
        self._staging.close()

    def _place(self, staged: StagedFile) -> None:
        with _errors(staged.sha256), staged.path.open("rb") as file:
            obstore.put(self._store, str(blob_key(staged.sha256)), file, max_concurrency=_PARTS_AT_ONCE)


def _client(settings: Settings, endpoint: str | None) -> S3Store:
    secrets = (settings.s3_access_key_id, settings.s3_secret_access_key)
    key_id, secret = (value.get_secret_value() if value else None for value in secrets)
    # Without keys of ours the library looks where AWS's tools do: the environment, or the machine's own role.
    keys: dict[str, Any] = {} if key_id is None else {"access_key_id": key_id, "secret_access_key": secret}
    plain = endpoint is not None and endpoint.startswith("http://")
    with storage_errors("object store"), _errors("configuration"):
        return S3Store(
            settings.s3_bucket or "",
            prefix=settings.s3_prefix or None,
            endpoint=endpoint,
            region=settings.s3_region,
            virtual_hosted_style_request=endpoint is None,
            # The store compares what arrived with this digest and refuses what the wire damaged.
            checksum_algorithm="sha256",
            client_options={"allow_http": plain, "connect_timeout": "5s", "timeout": "600s"},
            retry_config=_RETRY,
            **keys,
        )


def _pieces(sha256: str, found: Any) -> Iterator[bytes]:
    with _errors(sha256):
        for piece in found.stream(min_chunk_size=_PIECE_BYTES):
            yield bytes(piece)


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UnknownBlob(f"no blob {what!r} here; digests are listed at /v1/bundles/<name>/versions") from error
    except (BaseError, ValueError) as error:
        # The library's message goes on with a dump of its own state.
        said = str(error).partition("Debug source")[0].strip()
        raise StorageUnavailable(f"object store, {what!r}: {said}") from error
