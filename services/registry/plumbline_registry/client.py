"""The publisher's side of the HTTP API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError
from tuf.api.metadata import Snapshot

from plumbline_contract.channel import CHANNELS
from plumbline_registry.bundle_directory import BundleDirectory
from plumbline_registry.errors import ERRORS, ChannelEmpty, RegistryError
from plumbline_registry.models import (
    BundleList,
    BundleSummary,
    ChannelInfo,
    Comparison,
    ErrorBody,
    MetadataVersions,
    VersionInfo,
    VersionList,
)
from plumbline_registry.tar import tar_size_bytes, write_tar
from plumbline_registry.trust.documents import Document, parse, signed_as

_TIMEOUT: Final = httpx.Timeout(30.0, read=120.0)
_Answer = TypeVar("_Answer", bound=BaseModel)


class RegistryUnreachable(RegistryError):
    """No registry answers at the address."""


class RequestRefused(RegistryError):
    """The registry answered with an error."""

    def __init__(self, message: str, code: str | None) -> None:
        super().__init__(message)
        self.code = code


class RegistryClient:
    """Talks to one registry. Every method raises RegistryUnreachable, RequestRefused."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.url = url.rstrip("/")
        # Loading the certificates of the world takes longer than most commands; plain HTTP has none to check, and no
        # redirect is followed.
        verify = not self.url.startswith("http://")
        self._http = httpx.Client(headers=headers, timeout=_TIMEOUT, verify=verify)

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def publish(self, bundle: BundleDirectory) -> tuple[VersionInfo, Literal["created", "unchanged"]]:
        """Send a bundle as a stream."""
        manifest = bundle.manifest
        response = self._send(
            "PUT",
            f"/v1/bundles/{manifest.name}/versions/{manifest.version}",
            content=write_tar(bundle.files),
            headers={
                "Content-Type": "application/x-tar",
                "Content-Length": str(tar_size_bytes([size for _, size in bundle.files])),
            },
        )
        return self._parse(response, VersionInfo), "created" if response.status_code == 201 else "unchanged"

    def metadata_versions(self) -> dict[str, int]:
        """The newest version of each role's signed metadata; not to be trusted, only to be looked up."""
        return {**self._parse(self._send("GET", "/v1/metadata"), MetadataVersions).versions}

    def metadata(self, role: str, version: int) -> bytes:
        """A document, unverified."""
        name = f"{role}.json" if role == "timestamp" else f"{version}.{role}.json"
        return self._send("GET", f"/tuf/metadata/{name}").content

    def channel_is_live(self, channel: str, version: int) -> bool:
        """Whether the newest snapshot lists at least this version of a channel."""
        newest = self.metadata_versions().get("snapshot", 0)
        snapshot = signed_as(parse("snapshot", self.metadata("snapshot", newest)), Snapshot)
        return snapshot.meta[f"{channel}.json"].version >= version

    def send_metadata(self, documents: Sequence[Document]) -> None:
        """Send signed documents that are taken together or not at all."""
        texts = {document.role: document.content.decode() for document in documents}
        self._send("POST", "/v1/metadata", json={"documents": texts})

    def get_raw(self, url: str) -> httpx.Response:
        """Any answer, errors too."""
        return self._request("GET", url)

    def version(self, name: str, version: str) -> VersionInfo:
        """One version."""
        return self._parse(self._send("GET", f"/v1/bundles/{quote(name, safe='')}/versions/{version}"), VersionInfo)

    def manifest(self, name: str, version: str) -> bytes:
        """The manifest of a version, unverified."""
        return self._send("GET", f"/v1/bundles/{quote(name, safe='')}/versions/{version}/manifest").content

    def bundles(self) -> Iterator[BundleSummary]:
        """Every bundle, by name."""
        after: str | None = ""
        while after is not None:
            page = self._parse(self._send("GET", "/v1/bundles", params={"after": after}), BundleList)
            yield from page.bundles
            after = page.next

    def versions(self, name: str) -> Iterator[VersionInfo]:
        """Every version of a bundle, newest first."""
        address, after = f"/v1/bundles/{quote(name, safe='')}/versions", None
        while True:
            query: dict[str, str] = {} if after is None else {"after": after}
            page = self._parse(self._send("GET", address, params=query), VersionList)
            yield from page.versions
            if (after := page.next) is None:
                return

    def compare(self, name: str, before: str, after: str) -> Comparison:
        """Two versions beside each other."""
        address = f"/v1/bundles/{quote(name, safe='')}/compare"
        return self._parse(self._send("GET", address, params={"before": before, "after": after}), Comparison)

    def channels(self, name: str) -> Iterator[ChannelInfo]:
        """The channels of a bundle that are set."""
        for channel in CHANNELS:
            try:
                yield self._parse(self._send("GET", f"/v1/bundles/{name}/channels/{channel}"), ChannelInfo)
            except RequestRefused as error:
                if error.code != ERRORS[ChannelEmpty].code:
                    raise

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = self._request(method, self.url + path, **options)
        if not response.is_success:
            raise self._refusal(response)
        return response

    def _request(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, url, **options)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise RegistryUnreachable(
                f"no registry answers at {self.url!r} ({error}); start one with `plumbline-registry serve`, or"
                " give its address with --url"
            ) from error

    def _refusal(self, response: httpx.Response) -> RequestRefused:
        try:
            detail = ErrorBody.model_validate_json(response.content).error
        except ValidationError:
            return RequestRefused(
                f"{self.url!r} answered {response.status_code} and not as a registry does; check the address", None
            )
        return RequestRefused(f"the registry refused ({detail.code}): {detail.message}", detail.code)

    def _parse(self, response: httpx.Response, kind: type[_Answer]) -> _Answer:
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise RequestRefused(f"{self.url!r} does not answer as a registry does; check the address", None) from error
