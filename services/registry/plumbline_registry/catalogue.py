"""What is published and what each channel gives: the questions and changes that the API needs of the database."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timezone
from typing import Literal

from sqlalchemy import Engine, delete, func, select, tuple_, union
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from plumbline_contract.channel import Channel
from plumbline_contract.manifest import AnyManifest, BundleFile, version_key
from plumbline_registry import audit
from plumbline_registry.database import transaction
from plumbline_registry.errors import (
    ChannelEmpty,
    QuotaExceeded,
    UnknownBlob,
    UnknownBundle,
    UnknownVersion,
    VersionExists,
    VersionInUse,
)
from plumbline_registry.models import (
    BundleList,
    BundleSummary,
    ChannelChange,
    ChannelInfo,
    VersionInfo,
    VersionList,
)
from plumbline_registry.tables import ChannelChangeRow, FileRow, VersionRow

Outcome = Literal["created", "unchanged"]


class Catalogue:
    """Each method is one transaction, and may raise StorageUnavailable or StorageFull."""

    def __init__(self, engine: Engine, quota_bytes: int | None = None) -> None:
        self._engine = engine
        self._quota_bytes = quota_bytes

    def check(self) -> None:
        """Raise StorageUnavailable unless the tables are there and a write could begin now."""
        with transaction(self._engine, write=True) as session:
            session.execute(select(VersionRow.id).limit(1))

    def add_version(
        self, manifest: AnyManifest, manifest_sha256: str, manifest_bytes: int, actor: str
    ) -> tuple[VersionInfo, Outcome]:
        """Record a version whose blobs are stored; the same manifest again changes nothing.

        Raises VersionExists, QuotaExceeded.
        """
        row = VersionRow(
            name=manifest.name,
            version=manifest.version,
            manifest_sha256=manifest_sha256,
            manifest_bytes=manifest_bytes,
            created_at=datetime.now(timezone.utc),
            actor=actor,
            files=[FileRow(file=file, **entry.model_dump()) for file, entry in manifest.files.items()],
        )
        try:
            with transaction(self._engine, write=True) as session:
                session.add(row)
                session.flush()
                self._require_quota(session, "this version makes")
                audit.record(session, actor, "publish", f"{row.name} {row.version}", f"manifest {manifest_sha256}")
                return _version_info(row), "created"
        except IntegrityError:
            self.check_unclaimed(manifest, manifest_sha256)
            return self.version(manifest.name, manifest.version), "unchanged"

    def check_unclaimed(self, manifest: AnyManifest, manifest_sha256: str) -> None:
        """Raise VersionExists if the version is there with another manifest."""
        with transaction(self._engine) as session:
            row = _find_version(session, manifest.name, manifest.version)
            if row is not None and row.manifest_sha256 != manifest_sha256:
                raise VersionExists(
                    f"{row.name!r} {row.version!r} was published before with manifest {row.manifest_sha256!r};"
                    " versions never change, publish this one under a new version"
                )

    def check_quota(self) -> None:
        """Raise QuotaExceeded if nothing more can be published."""
        with transaction(self._engine) as session:
            self._require_quota(session, "there are")

    def stored_bytes(self) -> int:
        """Bytes of all blobs that versions name, each counted once."""
        with transaction(self._engine) as session:
            return _stored_bytes(session)

    def bundles(self, search: str = "", after: str = "", limit: int = 100) -> BundleList:
        """A page of the bundles whose name holds `search`, by name."""
        names = select(VersionRow.name).distinct().where(VersionRow.name > after).order_by(VersionRow.name)
        names = names.where(VersionRow.name.contains(search, autoescape=True)).limit(limit + 1)
        versions: defaultdict[str, list[str]] = defaultdict(list)
        with transaction(self._engine) as session:
            page = list(session.scalars(names))
            of_page = select(VersionRow.name, VersionRow.version).where(VersionRow.name.in_(page[:limit]))
            for name, version in session.execute(of_page.order_by(VersionRow.name)):
                versions[name].append(version)
        found = tuple(
            BundleSummary(name=name, versions=len(all_of_it), latest=max(all_of_it, key=version_key))
            for name, all_of_it in versions.items()
        )
        return BundleList(bundles=found, next=page[limit - 1] if len(page) > limit else None)

    def versions(self, name: str, search: str = "", after: str | None = None, limit: int = 100) -> VersionList:
        """A page of the versions whose number holds `search`, newest first, from the one that was published before
        `after` on. Raises UnknownBundle, UnknownVersion.
        """
        rows = select(VersionRow).where(VersionRow.name == name).order_by(VersionRow.id.desc()).limit(limit + 1)
        rows = rows.where(VersionRow.version.contains(search, autoescape=True))
        with transaction(self._engine) as session:
            if after is not None:
                rows = rows.where(VersionRow.id < _version_row(session, name, after).id)
            found = tuple(_version_info(row) for row in session.scalars(rows))
            if not found and not _has_bundle(session, name):
                raise _unknown_bundle(name)
        return VersionList(versions=found[:limit], next=found[limit - 1].version if len(found) > limit else None)

    def version(self, name: str, version: str) -> VersionInfo:
        """One version. Raises UnknownBundle, UnknownVersion."""
        with transaction(self._engine) as session:
            return _version_info(_version_row(session, name, version))

    def require_manifest(self, name: str, sha256: str) -> None:
        """Raise UnknownBlob unless the digest is that of a manifest of this bundle."""
        manifests = select(VersionRow.id).where(VersionRow.name == name, VersionRow.manifest_sha256 == sha256)
        with transaction(self._engine) as session:
            if session.scalar(manifests.limit(1)) is None:
                raise UnknownBlob(f"no manifest of {name!r} has the digest {sha256!r}; /v1/bundles/{name}/versions")

    def channel(self, name: str, channel: Channel) -> ChannelInfo:
        """What a channel gives now. Raises UnknownBundle, ChannelEmpty."""
        with transaction(self._engine) as session:
            last = _last_change(session, name, channel)
            if last is None:
                raise _nothing_in_channel(session, name, channel)
            return _channel_info(last)

    def channels(self, name: str) -> dict[Channel, str]:
        """The version that each channel of a bundle gives, of those that were ever set."""
        last = (
            select(ChannelChangeRow.channel, func.max(ChannelChangeRow.sequence))
            .where(ChannelChangeRow.name == name)
            .group_by(ChannelChangeRow.channel)
        )
        of_bundle = select(ChannelChangeRow).where(ChannelChangeRow.name == name)
        with transaction(self._engine) as session:
            newest = of_bundle.where(tuple_(ChannelChangeRow.channel, ChannelChangeRow.sequence).in_(last))
            return {row.channel: row.version.version for row in session.scalars(newest)}

    def history(self, name: str, channel: Channel) -> tuple[ChannelChange, ...]:
        """All moves of a channel, newest first. Raises UnknownBundle, ChannelEmpty."""
        of_channel = select(ChannelChangeRow).where(ChannelChangeRow.name == name, ChannelChangeRow.channel == channel)
        with transaction(self._engine) as session:
            rows = session.scalars(of_channel.order_by(ChannelChangeRow.sequence.desc())).all()
            if not rows:
                raise _nothing_in_channel(session, name, channel)
            return tuple(
                ChannelChange(
                    version=row.version.version,
                    changed_at=row.changed_at,
                    actor=row.actor,
                    reason=row.reason,
                    metadata_version=row.metadata_version,
                    gates=row.gates,
                )
                for row in rows
            )

    def delete_version(self, name: str, version: str, actor: str) -> None:
        """Forget a version; its blobs go with the next garbage collection.

        Raises UnknownBundle, UnknownVersion, and VersionInUse if any channel ever gave it.
        """
        try:
            with transaction(self._engine, write=True) as session:
                row = _version_row(session, name, version)
                used = session.scalar(select(ChannelChangeRow).where(ChannelChangeRow.version_id == row.id).limit(1))
                if used is not None:
                    raise VersionInUse(
                        f"{name!r} {version!r} was given by channel {used.channel!r}; what a channel gave is never"
                        " deleted, since devices may run it and history names it"
                    )
                session.execute(delete(FileRow).where(FileRow.version_id == row.id))
                session.execute(delete(VersionRow).where(VersionRow.id == row.id))
                audit.record(session, actor, "delete", f"{name} {version}", f"manifest {row.manifest_sha256}")
        except IntegrityError as error:
            raise VersionInUse(f"{name!r} {version!r} was promoted at the same moment; nothing was deleted") from error

    def digests(self) -> set[str]:
        """Every blob that a version names, its manifest included."""
        with transaction(self._engine) as session:
            return {*session.scalars(select(FileRow.sha256)), *session.scalars(select(VersionRow.manifest_sha256))}

    def channel_counts(self) -> dict[str, int]:
        """How many bundles have each channel set."""
        counted = select(ChannelChangeRow.channel, func.count(ChannelChangeRow.name.distinct()))
        with transaction(self._engine) as session:
            return {row[0]: row[1] for row in session.execute(counted.group_by(ChannelChangeRow.channel))}

    def version_count(self) -> int:
        """How many versions are published, of all bundles."""
        with transaction(self._engine) as session:
            return session.scalar(select(func.count(VersionRow.id))) or 0

    def _require_quota(self, session: Session, what: str) -> None:
        if self._quota_bytes is not None and (stored := _stored_bytes(session)) > self._quota_bytes:
            raise QuotaExceeded(
                f"{what} {stored} bytes of versions, allowed are {self._quota_bytes}; delete versions that no channel"
                " gave, or raise PLUMBLINE_REGISTRY_QUOTA_BYTES"
            )


def _stored_bytes(session: Session) -> int:
    blobs = union(
        select(FileRow.sha256, FileRow.size_bytes), select(VersionRow.manifest_sha256, VersionRow.manifest_bytes)
    ).subquery()
    return int(session.scalar(select(func.sum(blobs.c.size_bytes))) or 0)


def _unknown_bundle(name: str) -> UnknownBundle:
    return UnknownBundle(f"no bundle {name!r} was published here; /v1/bundles lists those that were")


def _nothing_in_channel(session: Session, name: str, channel: str) -> UnknownBundle | ChannelEmpty:
    if not _has_bundle(session, name):
        return _unknown_bundle(name)
    return ChannelEmpty(f"channel {channel!r} of {name!r} was never set; promote a version to it")


def _has_bundle(session: Session, name: str) -> bool:
    return session.scalar(select(VersionRow.id).where(VersionRow.name == name).limit(1)) is not None


def _find_version(session: Session, name: str, version: str) -> VersionRow | None:
    return session.scalar(select(VersionRow).where(VersionRow.name == name, VersionRow.version == version))


def _version_row(session: Session, name: str, version: str) -> VersionRow:
    if (row := _find_version(session, name, version)) is not None:
        return row
    if not _has_bundle(session, name):
        raise _unknown_bundle(name)
    raise UnknownVersion(f"{name!r} has no version {version!r}; /v1/bundles/{name}/versions lists those it has")


def _last_change(session: Session, name: str, channel: str) -> ChannelChangeRow | None:
    of_channel = select(ChannelChangeRow).where(ChannelChangeRow.name == name, ChannelChangeRow.channel == channel)
    return session.scalar(of_channel.order_by(ChannelChangeRow.sequence.desc()).limit(1))


def _version_info(row: VersionRow) -> VersionInfo:
    return VersionInfo(
        name=row.name,
        version=row.version,
        manifest_sha256=row.manifest_sha256,
        created_at=row.created_at,
        actor=row.actor,
        size_bytes=row.manifest_bytes + sum(file.size_bytes for file in row.files),
        files={file.file: BundleFile(sha256=file.sha256, size_bytes=file.size_bytes) for file in row.files},
    )


def _channel_info(row: ChannelChangeRow) -> ChannelInfo:
    return ChannelInfo(
        name=row.name,
        channel=row.channel,
        version=row.version.version,
        manifest_sha256=row.version.manifest_sha256,
        updated_at=row.changed_at,
        metadata_version=row.metadata_version,
    )
