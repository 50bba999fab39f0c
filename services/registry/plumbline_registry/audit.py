"""Who did what, and who was refused: rows written in the transaction of the change itself, and never altered."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final, Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from plumbline_registry.database import transaction
from plumbline_registry.models import AuditEntry, AuditPage
from plumbline_registry.tables import AuditRow

Action = Literal["publish", "delete", "metadata", "promote", "refuse"]
_MAX_DETAIL: Final = 2000


def record(session: Session, actor: str, action: Action, subject: str, detail: str = "") -> None:
    """Add an entry to the transaction."""
    row = AuditRow(
        at=datetime.now(timezone.utc), actor=actor, action=action, subject=subject[:200], detail=detail[:_MAX_DETAIL]
    )
    session.add(row)


class AuditLog:
    """Each method is one transaction, and may raise StorageUnavailable or StorageFull."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def refused(self, actor: str, subject: str, detail: str) -> None:
        """Note what a known token was refused; there is no change to write it with."""
        with transaction(self._engine, write=True) as session:
            record(session, actor, "refuse", subject, detail)

    def page(self, before: int | None, limit: int) -> AuditPage:
        """Entries, newest first, older than the entry `before`."""
        rows = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit + 1)
        if before is not None:
            rows = rows.where(AuditRow.id < before)
        with transaction(self._engine) as session:
            found = [
                AuditEntry(
                    id=row.id,
                    at=row.at,
                    actor=row.actor,
                    action=row.action,
                    subject=row.subject,
                    detail=row.detail,
                )
                for row in session.scalars(rows)
            ]
        more = found[limit - 1].id if len(found) > limit else None
        return AuditPage(entries=tuple(found[:limit]), next=more)
