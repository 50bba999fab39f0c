"""Whether the registry takes a set of signed documents: every signature, every version, every reference, or nothing.

The registry holds no key. What it refuses here protects operators from mistakes; devices check all of it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tuf.api.metadata import Root, Snapshot, TargetFile, Targets, Timestamp

from plumbline_contract.channel import CHANNELS, target_path
from plumbline_registry.errors import InvalidMetadata, MetadataConflict
from plumbline_registry.trust.documents import Document, delegator_of, signed_as, verify
from plumbline_registry.trust.roles import ROLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP

MAX_REASON: Final = 500
WAIVED: Final = "waived"
_PATH: Final = re.compile(r"(?P<channel>[a-z]+)/(?P<name>[a-z0-9-]+)/[^/]+")


@dataclass(frozen=True)
class Entry:
    """What a channel's metadata says of one bundle."""

    channel: str
    name: str
    version: str
    manifest_sha256: str
    manifest_bytes: int
    reason: str
    waives_gates: bool = False
    """Whoever signed takes it on themselves that the bundle is good; needs a token of scope `admin`."""


def check_set(new: Mapping[str, Document], current: Mapping[str, Document]) -> dict[str, Document]:
    """The documents as they are once `new` is taken.

    Raises MetadataConflict, InvalidMetadata, UntrustedMetadata.
    """
    merged = {**current, **new}
    for role in (role for role in ROLES if role in new):
        _check_version(new[role], current.get(role))
        if role == ROOT and ROOT in current:
            verify(new[ROOT], signed_as(current[ROOT], Root))
        verify(new[role], delegator_of(role, merged))
    for role in (TARGETS, *CHANNELS):
        # A new root or targets that orphaned these would lock every device out.
        verify(_required(merged, role), delegator_of(role, merged))
    if SNAPSHOT in new:
        _check_snapshot(merged)
    if TIMESTAMP in new:
        _check_timestamp(merged)
    return merged


def entries(document: Document) -> dict[str, Entry]:
    """What a channel gives, by bundle. Raises InvalidMetadata."""
    return {entry.name: entry for entry in _entries(document.role, signed_as(document, Targets))}


def _entries(channel: str, signed: Targets) -> Iterator[Entry]:
    for path, file in signed.targets.items():
        match = _PATH.fullmatch(path)
        if match is None or path != target_path(channel, match["name"]):
            raise InvalidMetadata(f"{channel} metadata names {path!r}; it may name only {target_path(channel, '*')}")
        yield _entry(channel, match["name"], file)


def _entry(channel: str, name: str, file: TargetFile) -> Entry:
    custom = file.custom if isinstance(file.custom, dict) else {}
    version, reason = custom.get("version"), custom.get("reason")
    if not isinstance(version, str) or not isinstance(reason, str) or not 0 < len(reason) <= MAX_REASON:
        raise InvalidMetadata(
            f"{channel} metadata on {name!r} lacks version or reason (1 to {MAX_REASON} characters) in 'custom'"
        )
    if "\0" in version + reason:
        raise InvalidMetadata(f"{channel} metadata on {name!r} has a NUL in version or reason, which no table can keep")
    if set(file.hashes) != {"sha256"}:
        raise InvalidMetadata(f"{channel} metadata on {name!r} must give a sha256 and no other hash")
    waives = custom.get("gates") == WAIVED
    return Entry(channel, name, version, file.hashes["sha256"], file.length, reason, waives)


def _required(documents: Mapping[str, Document], role: str) -> Document:
    if role not in documents:
        raise InvalidMetadata(f"there is no {role} metadata yet; run `plumbline-registry init` first")
    return documents[role]


def _check_version(document: Document, current: Document | None) -> None:
    expected = 1 if current is None else current.version + 1
    if document.version != expected:
        raise MetadataConflict(
            f"{document.role} metadata has version {document.version}, the next one here is {expected}; fetch the"
            " current one, repeat the change on it and send it again"
        )


def _check_snapshot(documents: Mapping[str, Document]) -> None:
    listed = {name: file.version for name, file in signed_as(documents[SNAPSHOT], Snapshot).meta.items()}
    actual = {f"{role}.json": documents[role].version for role in (TARGETS, *CHANNELS)}
    if listed != actual:
        raise MetadataConflict(f"the snapshot lists {listed}, current are {actual}; sign again")


def _check_timestamp(documents: Mapping[str, Document]) -> None:
    listed = signed_as(documents[TIMESTAMP], Timestamp).snapshot_meta.version
    actual = _required(documents, SNAPSHOT).version
    if listed != actual:
        raise MetadataConflict(f"the timestamp names snapshot {listed}, current is {actual}; sign again")
