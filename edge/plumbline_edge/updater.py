"""Brings this device to the bundle that a channel points at, or leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plumbline_contract.errors import PlumblineError
from plumbline_contract.manifest import BUNDLE_FILES, MANIFEST_FILE, Manifest, parse_manifest
from plumbline_edge.bundle import GoldenResult, open_bundle, replay_golden
from plumbline_edge.errors import RegistryRefused, StateUnwritable
from plumbline_edge.registry_client import ChannelState, RegistryClient
from plumbline_edge.state import StateFolder, write_synced

Say = Callable[[str], None]


@dataclass(frozen=True)
class UpdateResult:
    """What an update did."""

    version: str
    manifest_sha256: str
    changed: bool
    golden: GoldenResult | None


def update(
    state: StateFolder, registry: RegistryClient, name: str, channel: str, threads: int, say: Say
) -> UpdateResult:
    """Activate the channel's bundle after checking its digests and replaying its golden samples on this device.

    Raises a PlumblineError, with the active bundle untouched, when any step fails.
    """
    try:
        with state.locked():
            return _update(state, registry, name, channel, threads, say)
    except OSError as error:
        raise StateUnwritable(
            f"state folder {str(state.folder)!r}: {error.strerror or error}; free space or choose another with --state"
        ) from error


def _update(
    state: StateFolder, registry: RegistryClient, name: str, channel: str, threads: int, say: Say
) -> UpdateResult:
    wanted = registry.channel(name, channel)
    kept = state.bundle_folder(wanted.manifest_sha256)
    if not _intact(kept, wanted.manifest_sha256):
        say(f"fetching {name} {wanted.version} from {registry.url}")
        golden = _fetch(state, registry, name, wanted, threads)
    elif state.active_sha256() == wanted.manifest_sha256:
        return UpdateResult(wanted.version, wanted.manifest_sha256, changed=False, golden=None)
    else:
        golden = _replay(kept, threads)
    state.activate(wanted.manifest_sha256)
    state.prune()
    return UpdateResult(wanted.version, wanted.manifest_sha256, changed=True, golden=golden)


def _intact(folder: Path, manifest_sha256: str) -> bool:
    try:
        return open_bundle(folder).manifest_sha256 == manifest_sha256
    except PlumblineError:
        return False


def _fetch(state: StateFolder, registry: RegistryClient, name: str, wanted: ChannelState, threads: int) -> GoldenResult:
    """Download a bundle; keep it once its digests are right and it runs here as it should."""
    with state.incoming_folder() as folder:
        text = registry.manifest(name, wanted.version, wanted.manifest_sha256)
        manifest = parse_manifest(text)
        _require_wanted(manifest, name, wanted.version)
        write_synced(folder / MANIFEST_FILE, text)
        for file_name in BUNDLE_FILES:
            registry.download(manifest.files[file_name], folder / file_name)
        golden = _replay(folder, threads)
        state.keep(folder, wanted.manifest_sha256)
        return golden


def _require_wanted(manifest: Manifest, name: str, version: str) -> None:
    if (manifest.name, manifest.version) != (name, version):
        raise RegistryRefused(
            f"asked for {name} {version}, the manifest is that of {manifest.name} {manifest.version}; nothing was"
            " changed, report it to the registry's operator"
        )
    missing = [file for file in BUNDLE_FILES if file not in manifest.files]
    if missing:
        raise RegistryRefused(f"{name} {version} is a draft without digests of {missing}; publish a sealed bundle")


def _replay(folder: Path, threads: int) -> GoldenResult:
    bundle = open_bundle(folder)
    return replay_golden(bundle, bundle.load_model(threads))
