"""A real TUF repository for the updater, made with python-tuf alone, whose keys and documents a test may abuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, Role, Root, Snapshot, TargetFile, Targets
from tuf.api.metadata import Timestamp as TimestampMetadata

from plumbline_contract.channel import CHANNELS, channel_pattern, target_path

TOP = ("root", "targets", "snapshot", "timestamp")


def soon(days: float = 1) -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=days)


def signed_bytes(payload: Any, *signers: CryptoSigner) -> bytes:
    metadata: Metadata[Any] = Metadata(payload)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


@dataclass
class Repository:
    """Documents by file name, as a server gives them; every change makes a new snapshot and timestamp."""

    files: dict[str, bytes] = field(default_factory=dict)
    keys: dict[str, CryptoSigner] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*TOP, *CHANNELS), 0))
    given: dict[str, dict[str, TargetFile]] = field(default_factory=lambda: {channel: {} for channel in CHANNELS})
    expires: datetime = field(default_factory=soon)

    def __post_init__(self) -> None:
        self.keys = {role: CryptoSigner.generate_ed25519() for role in (*TOP, *CHANNELS)}
        self.root()
        self.targets()
        for channel in CHANNELS:
            self.channel(channel)
        self.publish()

    @property
    def anchor(self) -> bytes:
        return self.files["1.root.json"]

    def root(self, *signers: CryptoSigner) -> None:
        """The next root, with the keys as they are now."""
        self.versions["root"] += 1
        keys: dict[str, Key] = {self.keys[role].public_key.keyid: self.keys[role].public_key for role in TOP}
        roles = {role: Role([self.keys[role].public_key.keyid], 1) for role in TOP}
        payload = Root(self.versions["root"], expires=self.expires, keys=keys, roles=roles, consistent_snapshot=True)
        self.files[f"{payload.version}.root.json"] = signed_bytes(payload, *(signers or (self.keys["root"],)))

    def targets(self) -> None:
        """The next targets, with the channels' keys as they are now."""
        self.versions["targets"] += 1
        roles: dict[str, DelegatedRole] = {}
        for channel in CHANNELS:
            keyid = self.keys[channel].public_key.keyid
            roles[channel] = DelegatedRole(channel, [keyid], 1, terminating=True, paths=[channel_pattern(channel)])
        publics = [self.keys[channel].public_key for channel in CHANNELS]
        keys: dict[str, Key] = {public.keyid: public for public in publics}
        payload = Targets(self.versions["targets"], expires=self.expires, delegations=Delegations(keys, roles))
        self.files[f"{payload.version}.targets.json"] = signed_bytes(payload, self.keys["targets"])

    def channel(self, channel: str, signer: CryptoSigner | None = None) -> None:
        """The channel's next document, of what it gives now."""
        self.versions[channel] += 1
        payload = Targets(self.versions[channel], expires=self.expires, targets=dict(self.given[channel]))
        self.files[f"{payload.version}.{channel}.json"] = signed_bytes(payload, signer or self.keys[channel])

    def point(self, name: str, channel: str, version: str, manifest_sha256: str, manifest_bytes: int) -> None:
        """Let the channel give this version."""
        path = target_path(channel, name)
        custom = {"custom": {"version": version, "reason": "a test"}}
        self.given[channel][path] = TargetFile(manifest_bytes, {"sha256": manifest_sha256}, path, custom)
        self.channel(channel)
        self.publish()

    def publish(self) -> None:
        """A new snapshot of the newest documents, and the timestamp that names it."""
        self.snapshot()
        self.timestamp()

    def snapshot(self) -> None:
        self.versions["snapshot"] += 1
        names = {role: f"{self.versions[role]}.{role}.json" for role in ("targets", *CHANNELS)}
        meta = {
            f"{role}.json": MetaFile.from_data(self.versions[role], self.files[name], ["sha256"])
            for role, name in names.items()
        }
        payload = Snapshot(self.versions["snapshot"], expires=self.expires, meta=meta)
        self.files[f"{payload.version}.snapshot.json"] = signed_bytes(payload, self.keys["snapshot"])

    def timestamp(self) -> None:
        self.versions["timestamp"] += 1
        snapshot = self.files[f"{self.versions['snapshot']}.snapshot.json"]
        meta = MetaFile.from_data(self.versions["snapshot"], snapshot, ["sha256"])
        payload = TimestampMetadata(self.versions["timestamp"], expires=self.expires, snapshot_meta=meta)
        self.files["timestamp.json"] = signed_bytes(payload, self.keys["timestamp"])
