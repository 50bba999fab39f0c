"""What the device asks of a registry over HTTP: documents and files, within limits of time and size."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx

from plumbline_contract.errors import DigestMismatch
from plumbline_edge.errors import RegistryRefused, RegistryUnavailable

MIN_BYTES_PER_SECOND: Final = 4096
"""A download that is slower on the whole is given up: a registry must not keep a device waiting for ever."""


class RegistryClient:
    """A registry, by its URL."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
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

    def open(self, path: str) -> tuple[int, Generator[bytes]]:
        """Status and body of a document. Raises RegistryUnavailable, at once or while the body is read."""
        blocks = self._blocks(path)
        return int(next(blocks)), blocks

    def download(self, sha256: str, size_bytes: int, target: Path) -> None:
        """Bring the file with this digest to `target`; goes on where an earlier attempt ended.

        What has come stays in `target`.part. Raises DigestMismatch, RegistryUnavailable, RegistryRefused, OSError.
        """
        part = target.with_name(f"{target.name}.part")
        path = f"/v1/blobs/{sha256}"
        with part.open("ab") as out:
            begun = out.tell()
            if begun >= size_bytes:
                begun = out.truncate(0)
            status, answered = self._receive(path, begun)
            if begun and status != HTTPStatus.PARTIAL_CONTENT:
                begun = out.truncate(0)
            self._copy(path, answered, size_bytes - begun, out)
            out.flush()
            os.fsync(out.fileno())
        actual = _sha256_of(part)
        if actual != sha256:
            part.unlink()
            raise DigestMismatch(f"{target.name} from {self.url}", sha256, actual)
        part.rename(target)

    def send(self, path: str, token: str, content: dict[str, Any]) -> None:
        """PUT a JSON document. Raises RegistryUnavailable, RegistryRefused."""
        with self._answers(path):
            response = self._client.put(path, json=content, headers={"Authorization": f"Bearer {token}"})
        if not response.is_success:
            said = " ".join(response.text.split())[:300]
            raise RegistryRefused(
                f"registry {self.url!r}: {path} answers {response.status_code}: {said}; check the device's token"
            )

    def _receive(self, path: str, begin: int) -> tuple[int, Generator[bytes]]:
        blocks = self._blocks(path, {"Range": f"bytes={begin}-"} if begin else {})
        status = int(next(blocks))
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            blocks.close()
            raise RegistryRefused(
                f"registry {self.url!r}: {path} answers {status}; nothing was changed, check --registry and report it"
                " to the registry's operator"
            )
        return status, blocks

    def _copy(self, path: str, blocks: Generator[bytes], expected_bytes: int, out: Any) -> None:
        received = 0
        for block in blocks:
            received += len(block)
            if received > expected_bytes:
                blocks.close()
                out.truncate(0)
                raise RegistryRefused(
                    f"registry {self.url!r}: {path} is larger than the {expected_bytes} bytes it should have; nothing"
                    " was changed, report it to the registry's operator"
                )
            out.write(block)

    def _blocks(self, path: str, headers: dict[str, str] | None = None) -> Generator[bytes]:
        """The status as the first item, then the body; a response that trickles is given up."""
        begun_at = time.monotonic()
        received = 0
        with self._answers(path), self._client.stream("GET", path, headers=headers) as response:
            yield str(response.status_code).encode()
            for block in response.iter_bytes():
                received += len(block)
                allowed_seconds = self._timeout_seconds + received / MIN_BYTES_PER_SECOND
                if time.monotonic() - begun_at > allowed_seconds:
                    raise RegistryUnavailable(
                        f"registry {self.url!r}: {path} came slower than {MIN_BYTES_PER_SECOND} bytes a second; what"
                        " has come is kept, the next update goes on from there"
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


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
