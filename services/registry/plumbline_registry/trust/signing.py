"""New versions of metadata, signed: the pieces of which init, promote, rotate and the signer are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.metadata import Role as TufRole

from plumbline_contract.channel import CHANNELS, channel_pattern, target_path
from plumbline_registry.trust.acceptance import WAIVED, Entry
from plumbline_registry.trust.documents import Document, parse
from plumbline_registry.trust.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, expiry


def sign(role: str, signed: Signed, *signers: CryptoSigner) -> Document:
    """The payload with a fresh expiry and these signatures."""
    signed.expires = expiry(role)
    metadata: Metadata[Any] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return parse(role, metadata.to_bytes())


def first_root(keys: Mapping[str, Key]) -> Root:
    """Root version 1: who signs for the four top-level roles, one key each."""
    top = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
    return Root(
        keys={keys[role].keyid: keys[role] for role in top},
        roles={role: TufRole([keys[role].keyid], 1) for role in top},
        consistent_snapshot=True,
    )


def first_targets(keys: Mapping[str, Key]) -> Targets:
    """Targets version 1: each channel is a role of its own that may sign for its own paths alone."""
    roles: dict[str, DelegatedRole] = {
        channel: DelegatedRole(channel, [keys[channel].keyid], 1, terminating=True, paths=[channel_pattern(channel)])
        for channel in CHANNELS
    }
    return Targets(delegations=Delegations({keys[name].keyid: keys[name] for name in CHANNELS}, roles))


def with_entry(channel: Targets, entry: Entry) -> Targets:
    """The channel's next version, giving this version of one bundle and every other bundle as before."""
    path = target_path(entry.channel, entry.name)
    custom = {"version": entry.version, "reason": entry.reason}
    if entry.waives_gates:
        custom["gates"] = WAIVED
    hashes = {"sha256": entry.manifest_sha256}
    channel.targets[path] = TargetFile(entry.manifest_bytes, hashes, path, {"custom": custom})
    channel.version += 1
    return channel


def next_snapshot(documents: Mapping[str, Document], version: int, signer: CryptoSigner) -> Document:
    """What devices shall see from now on: the version, length and digest of targets and of every channel."""
    listed = {
        f"{role}.json": MetaFile.from_data(documents[role].version, documents[role].content, ["sha256"])
        for role in (TARGETS, *CHANNELS)
    }
    return sign(SNAPSHOT, Snapshot(version, meta=listed), signer)


def next_timestamp(snapshot: Document, version: int, signer: CryptoSigner) -> Document:
    """The statement, short-lived, that this snapshot is the newest."""
    listed = MetaFile.from_data(snapshot.version, snapshot.content, ["sha256"])
    return sign(TIMESTAMP, Timestamp(version, snapshot_meta=listed), signer)
