"""What the device asks of a registry: which bundle a channel points at, its manifest and its files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from plumbline_contract.errors import DigestMismatch
from plumbline_contract.manifest import BundleFile, Sha256, Version
from plumbline_edge.errors import RegistryRefused, RegistryUnavailable

MAX_MANIFEST_BYTES: Final = 1 << 20


class ChannelState(BaseModel):
    """The bundle that a channel points at."""

    version: Version
    manifest_sha256: Sha256


class RegistryClient:
    """A registry, by its URL."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.url = url.rstrip("/")
        try:
            self._client = httpx.Client(base_url=self.url, timeout=timeout_seconds, follow_redirects=True)
        except (httpx.InvalidURL, ValueError) as error:
            raise RegistryUnavailable(f"registry {url!r} is no URL ({error}); give http://HOST:PORT") from error

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def channel(self, name: str, channel: str) -> ChannelState:
        """Where a channel points. Raises RegistryUnavailable or RegistryRefused."""
        path = f"/v1/bundles/{quote(name, safe='')}/channels/{quote(channel, safe='')}"
        body = b"".join(self._stream(path, MAX_MANIFEST_BYTES))
        try:
            return ChannelState.model_validate_json(body)
        except ValidationError as error:
            raise RegistryRefused(
                f"registry {self.url!r}: {path} is no answer of a Plumbline registry; check --registry"
            ) from error

    def manifest(self, name: str, version: str, sha256: str) -> bytes:
        """The exact manifest.json with this digest. Raises DigestMismatch for any other."""
        body = b"".join(self._stream(f"/v1/bundles/{name}/versions/{version}/manifest", MAX_MANIFEST_BYTES))
        actual = hashlib.sha256(body).hexdigest()
        if actual != sha256:
            raise DigestMismatch(f"manifest of {name} {version} from {self.url}", sha256, actual)
        return body

    def download(self, file: BundleFile, target: Path) -> None:
        """Write the file with this digest to `target`, hashed while written and synced. Raises DigestMismatch."""
        digest = hashlib.sha256()
        with target.open("xb") as out:
            for block in self._stream(f"/v1/blobs/{file.sha256}", file.size_bytes):
                digest.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != file.sha256:
            raise DigestMismatch(f"{target.name} from {self.url}", file.sha256, digest.hexdigest())

    def _stream(self, path: str, max_bytes: int) -> Iterator[bytes]:
        received = 0
        with self._answers(path), self._client.stream("GET", path) as response:
            self._require_success(response, path)
            for block in response.iter_bytes():
                received += len(block)
                if received > max_bytes:
                    raise RegistryRefused(
                        f"registry {self.url!r}: {path} is larger than the {max_bytes} bytes it should have; nothing"
                        " was changed, report it to the registry's operator"
                    )
                yield block

    @contextmanager
    def _answers(self, path: str) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise RegistryUnavailable(
                f"registry {self.url!r}: {path} stayed silent for {self._client.timeout.read} s; try again later, or"
                " raise PLUMBLINE_EDGE_TIMEOUT_SECONDS"
            ) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise RegistryUnavailable(
                f"registry {self.url!r}: {path}: {str(error) or type(error).__name__}; check --registry and that it is"
                " running"
            ) from error

    def _require_success(self, response: httpx.Response, path: str) -> None:
        if response.is_success:
            return
        response.read()
        try:
            message = str(response.json()["error"]["message"])
        except (ValueError, KeyError, TypeError):
            raise RegistryRefused(
                f"registry {self.url!r}: {path} answers {response.status_code} and not as a Plumbline registry does;"
                " check --registry"
            ) from None
        raise RegistryRefused(
            f"registry {self.url!r}: {path} answers {response.status_code}: {message}; check --name and --channel"
        )
