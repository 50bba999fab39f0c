"""The signed metadata as the database keeps it, and the channels' history that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from plumbline_contract.channel import CHANNELS
from plumbline_registry.database import transaction
from plumbline_registry.errors import InvalidMetadata, MetadataConflict, UnknownMetadata
from plumbline_registry.tables import ChannelChangeRow, MetadataRow, VersionRow
from plumbline_registry.trust.acceptance import Entry, check_set, entries
from plumbline_registry.trust.documents import Document, parse


class MetadataStore:
    """Each method is one transaction, and may raise StorageUnavailable or StorageFull."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def accept(self, contents: Mapping[str, bytes], actor: str) -> dict[str, int]:
        """Take a set of documents, all or none; gives the version of every role afterwards.

        Raises InvalidMetadata, UntrustedMetadata, MetadataConflict.
        """
        new = {role: parse(role, content) for role, content in contents.items()}
        try:
            with transaction(self._engine, write=True) as session:
                current = _current(session)
                merged = check_set(new, current)
                for document in new.values():
                    session.add(_row(document, actor))
                for channel in CHANNELS:
                    if channel in new:
                        _record_moves(session, new[channel], current.get(channel), actor, rebuilt="targets" in new)
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


def _record_moves(session: Session, new: Document, current: Document | None, actor: str, *, rebuilt: bool) -> None:
    """One history row for each bundle that the document moves. Raises InvalidMetadata.

    `rebuilt`: the set changes who may sign for channels, and may then also drop what the old key signed.
    """
    before = {} if current is None else entries(current)
    after = entries(new)
    if (dropped := sorted(set(before) - set(after))) and not rebuilt:
        raise InvalidMetadata(f"{new.role} metadata no longer names {dropped}; point them at a version instead")
    for entry in _moved(before, after.values()):
        version = _version_of(session, entry)
        last = _last_sequence(session, entry)
        session.add(
            ChannelChangeRow(
                name=entry.name,
                channel=entry.channel,
                sequence=last + 1,
                version=version,
                metadata_version=new.version,
                changed_at=datetime.now(timezone.utc),
                actor=actor,
                reason=entry.reason,
            )
        )


def _moved(before: Mapping[str, Entry], after: Iterable[Entry]) -> list[Entry]:
    return [
        entry
        for entry in after
        if entry.name not in before or before[entry.name].manifest_sha256 != entry.manifest_sha256
    ]


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
