"""Keeps garbage collection off the blobs that a publish has stored, or found, and not named yet."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Final

from sqlalchemy import Engine, delete, select, text
from sqlalchemy.orm import Session

from plumbline_registry.database import transaction
from plumbline_registry.tables import FileRow, LeaseRow, VersionRow

LEAST_AGE: Final = timedelta(hours=1)
"""No publish takes so long: an older lease is a dead process's. However young the blobs are that a collection takes."""
_LOCK: Final = 0x706C756D63


class Leases:
    """Each method is one transaction, and may raise StorageUnavailable or StorageFull."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def held(self, digests: Collection[str]) -> Iterator[None]:
        """Hold these blobs from before they are stored until their version is recorded, or the publish failed.

        A killed process leaves its leases; collection heeds none that is older than LEAST_AGE and than what it spares.
        """
        publish, now = secrets.token_hex(16), datetime.now(timezone.utc)
        with transaction(self._engine, write=True) as session:
            _lock(session)
            session.add_all(LeaseRow(publish=publish, sha256=sha256, begun_at=now) for sha256 in sorted(digests))
        try:
            yield
        finally:
            with transaction(self._engine, write=True) as session:
                session.execute(delete(LeaseRow).where(LeaseRow.publish == publish))

    @contextmanager
    def removing(self, sha256: str, min_age: timedelta) -> Iterator[bool]:
        """Whether nobody names or holds the blob; nobody can begin to while the block lasts, so keep it short."""
        limit = datetime.now(timezone.utc) - max(min_age, LEAST_AGE)
        with transaction(self._engine, write=True) as session:
            _lock(session)
            session.execute(delete(LeaseRow).where(LeaseRow.begun_at < limit))
            wanted = (
                select(LeaseRow.id).where(LeaseRow.sha256 == sha256),
                select(FileRow.version_id).where(FileRow.sha256 == sha256),
                select(VersionRow.id).where(VersionRow.manifest_sha256 == sha256),
            )
            yield all(session.scalar(rows.limit(1)) is None for rows in wanted)


def _lock(session: Session) -> None:
    """A writer of SQLite has the whole database to itself already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
