"""What a channel gives, as signed by its keys: python-tuf's client over our HTTP, with a Pi's clock in mind."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from tuf.api import exceptions as tuf_errors
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from plumbline_contract.channel import target_path
from plumbline_edge.errors import RegistryUnavailable, TrustAnchorMissing, UntrustedMetadata
from plumbline_edge.registry_client import RegistryClient

_MAX_MANIFEST_BYTES: Final = 1 << 20
_TIME_ERROR: Final = 5
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (tuf_errors.ExpiredMetadataError, "metadata_expired"),
    (tuf_errors.BadVersionNumberError, "metadata_rolled_back"),
    (tuf_errors.UnsignedMetadataError, "metadata_not_signed"),
    (tuf_errors.LengthOrHashMismatchError, "metadata_mixed"),
    (tuf_errors.DownloadLengthMismatchError, "metadata_endless"),
    (tuf_errors.SlowRetrievalError, "registry_too_slow"),
    (tuf_errors.DownloadHTTPError, "metadata_missing"),
)


@dataclass(frozen=True)
class WantedBundle:
    """The bundle that a channel's key signed for."""

    name: str
    version: str
    manifest_sha256: str
    manifest_bytes: int


def clock_is_synchronised() -> bool:
    """Whether the kernel's clock follows a time source; a Pi has no battery and starts in the past (adjtimex(2))."""
    timex = ctypes.create_string_buffer(512)
    return ctypes.CDLL(None, use_errno=True).adjtimex(timex) not in (-1, _TIME_ERROR)


def wanted_bundle(
    registry: RegistryClient,
    root_file: Path,
    cache: Path,
    name: str,
    channel: str,
    synchronised: Callable[[], bool],
    say: Callable[[str], None],
) -> WantedBundle:
    """Verify the metadata from the trust anchor down to the channel, and remember it against rollbacks.

    Raises TrustAnchorMissing, UntrustedMetadata, RegistryUnavailable, RegistryRefused, OSError.
    """
    client = _Client(registry, root_file, cache)
    if not synchronised():
        # Signatures and versions still count; only whether they are of today cannot be told.
        say("the clock is not synchronised: whether metadata has expired is not checked this time")
        client.trust_any_time()
    wanted = client.wanted(name, channel)
    sync_files(cache)
    return wanted


class _Client:
    def __init__(self, registry: RegistryClient, root_file: Path, cache: Path) -> None:
        self._registry = registry
        cache.mkdir(parents=True, exist_ok=True)
        try:
            anchor = root_file.read_bytes()
        except OSError as error:
            raise TrustAnchorMissing(
                f"trust anchor {str(root_file)!r}: {error.strerror}; copy root.json from where the registry's keys were"
                " made, and name it with --root"
            ) from error
        config = UpdaterConfig(targets_max_length=_MAX_MANIFEST_BYTES, snapshot_max_length=_MAX_MANIFEST_BYTES)
        try:
            self._updater = Updater(
                str(cache), f"{registry.url}/tuf/metadata/", fetcher=_Fetcher(registry), config=config, bootstrap=anchor
            )
        except tuf_errors.RepositoryError as error:
            raise TrustAnchorMissing(f"trust anchor {str(root_file)!r}: {error}; copy root.json again") from error

    def trust_any_time(self) -> None:
        # python-tuf takes the time when it starts and has no setting for it.
        self._updater._trusted_set.reference_time = datetime.min.replace(tzinfo=timezone.utc)

    def wanted(self, name: str, channel: str) -> WantedBundle:
        try:
            self._updater.refresh()
            target = self._updater.get_targetinfo(target_path(channel, name))
        except (tuf_errors.RepositoryError, tuf_errors.DownloadError) as error:
            if isinstance(cause := error.__cause__, RegistryUnavailable):
                raise cause from error
            raise self._untrusted(error) from error
        if target is None:
            raise UntrustedMetadata(
                f"registry {self._registry.url!r}: channel {channel!r} gives no bundle {name!r}; promote one to it, or"
                " check --name and --channel",
                "channel_empty",
            )
        custom = target.custom if isinstance(target.custom, dict) else {}
        if set(target.hashes) != {"sha256"} or target.length > _MAX_MANIFEST_BYTES or "version" not in custom:
            raise UntrustedMetadata(f"channel {channel!r} describes {name!r} in no known way", "metadata_unknown")
        return WantedBundle(name, str(custom["version"]), target.hashes["sha256"], target.length)

    def _untrusted(self, error: Exception) -> UntrustedMetadata:
        reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), "metadata_untrusted")
        return UntrustedMetadata(
            f"registry {self._registry.url!r}: {reason.replace('_', ' ')}: {error}; nothing was changed, report it to"
            " the registry's operator",
            reason,
        )


class _Fetcher(FetcherInterface):
    """python-tuf's requests through our client, with its time limits."""

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = url.removeprefix(self._registry.url)
        status, blocks = self._registry.open(path)
        if status >= 400:
            blocks.close()
            raise tuf_errors.DownloadHTTPError(f"{path} answers {status}", status)
        return self._blocks(blocks)

    def _blocks(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from blocks
        except RegistryUnavailable as error:
            raise tuf_errors.DownloadError(str(error)) from error


def sync_files(folder: Path) -> None:
    """Wait until the disk has what python-tuf wrote, so that a power cut does not forget which versions were seen."""
    for path in (folder, *folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
