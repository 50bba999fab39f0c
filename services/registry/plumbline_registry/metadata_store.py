"""The signed metadata as the database keeps it, and the channels' history that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from plumbline_contract.channel import CHANNELS
from plumbline_registry import audit
from plumbline_registry.database import transaction
from plumbline_registry.errors import InvalidMetadata, MetadataConflict, UnknownMetadata
from plumbline_registry.tables import ChannelChangeRow, MetadataRow, VersionRow
from plumbline_registry.trust.acceptance import Entry, check_set, entries
from plumbline_registry.trust.documents import Document, parse


@dataclass(frozen=True)
class Move:
    """One bundle that a channel is about to give."""

    entry: Entry
    current_sha256: str | None
    """Manifest of the version that it replaces, or that the channel gave last, where it was cleared meanwhile; None: it
    never gave one."""
    given_before: bool
    """Whether the channel gave this version at an earlier time."""


class MetadataStore:
    """Each method is one transaction, and may raise StorageUnavailable or StorageFull."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def moves(self, contents: Mapping[str, bytes]) -> list[Move]:
        """What a set of documents would move, if it were taken now.

        Raises InvalidMetadata, UntrustedMetadata, MetadataConflict.
        """
        new = {role: parse(role, content) for role, content in contents.items()}
        with transaction(self._engine) as session:
            current = _current(session)
            check_set(new, current)
            return [
                _move(session, entry, before)
                for channel in CHANNELS
                if channel in new
                for entry, before in _moved(current.get(channel), new[channel])
            ]

    def accept(self, contents: Mapping[str, bytes], actor: str, gates: Mapping[tuple[str, str], str]) -> dict[str, int]:
        """Take a set of documents, all or none; gives the version of every role afterwards.

        `gates`: what the gates said of each move, by channel and bundle. Raises InvalidMetadata, UntrustedMetadata,
        MetadataConflict.
        """
        new = {role: parse(role, content) for role, content in contents.items()}
        try:
            with transaction(self._engine, write=True) as session:
                current = _current(session)
                merged = check_set(new, current)
                for document in new.values():
                    session.add(_row(document, actor))
                    audit.record(session, actor, "metadata", f"{document.role} {document.version}")
                by = _Promoter(session, actor, gates)
                for channel in CHANNELS:
                    if channel in new:
                        by.record(new[channel], current.get(channel), rebuilt="targets" in new)
                session.flush()
                return {role: document.version for role, document in merged.items()}
        except IntegrityError as error:
            raise MetadataConflict(
                f"another set of {sorted(new)} came at the same moment; fetch the current one and send it again"
            ) from error

    def versions(self) -> dict[str, int]:
        """The newest version of each role; empty before the first set."""
        with transaction(self._engine) as session:
            newest = select(MetadataRow.role, func.max(MetadataRow.version)).group_by(MetadataRow.role)
            return {row[0]: row[1] for row in session.execute(newest)}

    def expiries(self) -> dict[str, datetime]:
        """When each role's newest document ends; empty before the first set."""
        with transaction(self._engine) as session:
            return {role: document.metadata.signed.expires for role, document in _current(session).items()}

    def content(self, role: str, version: int | None = None) -> bytes:
        """A document; the newest one without a version. Raises UnknownMetadata."""
        of_role = select(MetadataRow.content).where(MetadataRow.role == role)
        chosen = of_role.order_by(MetadataRow.version.desc()) if version is None else of_role.where(
            MetadataRow.version == version
        )  # fmt: skip
        with transaction(self._engine) as session:
            content = session.scalar(chosen.limit(1))
        if content is None:
            number = "" if version is None else f" version {version}"
            raise UnknownMetadata(f"no {role} metadata{number} is here; `plumbline-registry init` makes the first")
        return content


def _row(document: Document, actor: str) -> MetadataRow:
    return MetadataRow(
        role=document.role,
        version=document.version,
        content=document.content,
        accepted_at=datetime.now(timezone.utc),
        actor=actor,
    )


def _current(session: Session) -> dict[str, Document]:
    newest = select(MetadataRow.role, func.max(MetadataRow.version)).group_by(MetadataRow.role)
    found: dict[str, Document] = {}
    for role, version in session.execute(newest).all():
        row = session.get_one(MetadataRow, (role, version))
        found[role] = parse(role, row.content)
    return found


class _Promoter(NamedTuple):
    """Adds to the channels' history, in one transaction and one name."""

    session: Session
    actor: str
    gates: Mapping[tuple[str, str], str]

    def record(self, new: Document, current: Document | None, *, rebuilt: bool) -> None:
        """One history row for each bundle that the document moves. Raises InvalidMetadata.

        `rebuilt`: the set changes who may sign for channels, and may then also drop what the old key signed.
        """
        before = {} if current is None else entries(current)
        if (dropped := sorted(set(before) - set(entries(new)))) and not rebuilt:
            raise InvalidMetadata(f"{new.role} metadata no longer names {dropped}; point them at a version instead")
        for entry, _ in _moved(current, new):
            self._record(entry, new.version)

    def _record(self, entry: Entry, metadata_version: int) -> None:
        said = self.gates.get((entry.channel, entry.name))
        row = ChannelChangeRow(
            name=entry.name,
            channel=entry.channel,
            sequence=_last_sequence(self.session, entry) + 1,
            version=_version_of(self.session, entry),
            metadata_version=metadata_version,
            changed_at=datetime.now(timezone.utc),
            actor=self.actor,
            reason=entry.reason,
            gates=said,
        )
        self.session.add(row)
        subject = f"{entry.name} {entry.version} to {entry.channel}"
        audit.record(self.session, self.actor, "promote", subject, f"{entry.reason}; gates: {said}")


def _moved(current: Document | None, new: Document) -> list[tuple[Entry, Entry | None]]:
    """Each entry of the new document that names another manifest than before, with the entry that it replaces."""
    before = {} if current is None else entries(current)
    return [
        (entry, before.get(entry.name))
        for entry in entries(new).values()
        if entry.name not in before or before[entry.name].manifest_sha256 != entry.manifest_sha256
    ]


def _move(session: Session, entry: Entry, before: Entry | None) -> Move:
    given = select(ChannelChangeRow.id).where(
        ChannelChangeRow.version_id == _version_of(session, entry).id, ChannelChangeRow.channel == entry.channel
    )
    last = (
        select(VersionRow.manifest_sha256)
        .join(ChannelChangeRow, ChannelChangeRow.version_id == VersionRow.id)
        .where(ChannelChangeRow.name == entry.name, ChannelChangeRow.channel == entry.channel)
        .order_by(ChannelChangeRow.sequence.desc())
    )
    return Move(
        entry=entry,
        current_sha256=session.scalar(last.limit(1)) if before is None else before.manifest_sha256,
        given_before=session.scalar(given.limit(1)) is not None,
    )


def _version_of(session: Session, entry: Entry) -> VersionRow:
    row = session.scalar(select(VersionRow).where(VersionRow.name == entry.name, VersionRow.version == entry.version))
    if row is None:
        raise InvalidMetadata(f"{entry.channel} metadata names {entry.name} {entry.version}, which was never published")
    if (row.manifest_sha256, row.manifest_bytes) != (entry.manifest_sha256, entry.manifest_bytes):
        raise InvalidMetadata(
            f"{entry.channel} metadata gives {entry.name} {entry.version} the manifest {entry.manifest_sha256!r} of"
            f" {entry.manifest_bytes} bytes; published is {row.manifest_sha256!r} of {row.manifest_bytes}"
        )
    return row


def _last_sequence(session: Session, entry: Entry) -> int:
    of_channel = select(func.max(ChannelChangeRow.sequence)).where(
        ChannelChangeRow.name == entry.name, ChannelChangeRow.channel == entry.channel
    )
    return session.scalar(of_channel) or 0
