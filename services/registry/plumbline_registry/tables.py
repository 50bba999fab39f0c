"""The database's tables. Rows are only ever added: versions never change, and a channel is its last change."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from plumbline_contract.channel import Channel


class UtcDateTime(TypeDecorator[datetime]):
    """SQLite forgets time zones: what is stored is UTC, and what is read says so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=timezone.utc)


class Base(DeclarativeBase):
    pass


class VersionRow(Base):
    """One immutable version of a bundle."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    manifest_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))
    files: Mapped[list[FileRow]] = relationship(lazy="selectin", order_by="FileRow.file")


class FileRow(Base):
    """One file of a version, beside the manifest."""

    __tablename__ = "version_files"
    __table_args__ = (Index("ix_version_files_sha256", "sha256"),)

    version_id: Mapped[int] = mapped_column(ForeignKey(VersionRow.id), primary_key=True)
    file: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class ChannelChangeRow(Base):
    """One move of a channel, as its signed metadata said it; this table is an index of those documents.

    `sequence` counts from 1 in each channel, so that two moves can't both come next.
    """

    __tablename__ = "channel_changes"
    __table_args__ = (UniqueConstraint("name", "channel", "sequence"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Channel] = mapped_column(String(16))
    sequence: Mapped[int]
    version_id: Mapped[int] = mapped_column(ForeignKey(VersionRow.id))
    metadata_version: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(500))
    gates: Mapped[str | None] = mapped_column(Text)
    version: Mapped[VersionRow] = relationship(lazy="joined")


class MetadataRow(Base):
    """One version of one role's signed metadata, byte for byte."""

    __tablename__ = "metadata"

    role: Mapped[str] = mapped_column(String(16), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    accepted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))


class DeviceRow(Base):
    """The newest report of one device."""

    __tablename__ = "devices"

    device: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Channel] = mapped_column(String(16))
    version: Mapped[str | None] = mapped_column(String(64))
    manifest_sha256: Mapped[str | None] = mapped_column(String(64))
    judge_name: Mapped[str | None] = mapped_column(String(64))
    judge_version: Mapped[str | None] = mapped_column(String(64))
    judge_manifest_sha256: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(String(2000))
    reported_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AuditRow(Base):
    """Something that somebody did, or was refused; kept for ever, written with the change itself."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(200))
    detail: Mapped[str] = mapped_column(Text)


class LeaseRow(Base):
    """A blob that a publish under way is about to name; garbage collection leaves it alone."""

    __tablename__ = "leases"
    __table_args__ = (Index("ix_leases_sha256", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    publish: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(String(64))
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
