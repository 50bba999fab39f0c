"""The repository as a device sees it, for an operator: python-tuf's client, its cache kept beside the keys."""

from __future__ import annotations

from collections.abc import Iterator

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from plumbline_contract.channel import target_path
from plumbline_registry.client import RegistryClient
from plumbline_registry.trust.documents import Document, parse
from plumbline_registry.trust.keys import KeysFolder


class ClientFetcher(FetcherInterface):
    """python-tuf's requests through our client."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    def _fetch(self, url: str) -> Iterator[bytes]:
        response = self._client.get_raw(url)
        if response.status_code >= 400:
            raise DownloadHTTPError(f"{url} answers {response.status_code}", response.status_code)
        return iter([response.content])


class SeenRepository:
    """Verified documents, never older than what was seen before."""

    def __init__(self, client: RegistryClient, keys: KeysFolder) -> None:
        self._folder = keys.seen
        self._folder.mkdir(parents=True, exist_ok=True)
        config = UpdaterConfig(prefix_targets_with_hash=True)
        self._updater = Updater(
            str(self._folder),
            f"{client.url}/tuf/metadata/",
            fetcher=ClientFetcher(client),
            config=config,
            bootstrap=keys.root(),
        )

    def document(self, channel: str) -> Document:
        """A channel's document. Raises tuf's RepositoryError and DownloadError."""
        self._updater.refresh()
        self._updater.get_targetinfo(target_path(channel, "any"))
        return parse(channel, (self._folder / f"{channel}.json").read_bytes())
