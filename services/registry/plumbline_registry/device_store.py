"""The newest report of each device."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import Engine, func, select, union_all

from plumbline_registry.database import transaction
from plumbline_registry.models import DeviceList, DeviceReport, DeviceState
from plumbline_registry.tables import DeviceRow


class DeviceStore:
    """Each method is one transaction, and may raise StorageUnavailable or StorageFull."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def report(self, device: str, report: DeviceReport) -> DeviceState:
        """Replace what is known of a device."""
        row = DeviceRow(device=device, reported_at=datetime.now(timezone.utc), **report.model_dump())
        with transaction(self._engine, write=True) as session:
            return _state(session.merge(row))

    def counts(self, name: str) -> dict[str, int]:
        """How many devices say that they run each version of a bundle, as their pose model or as their judge."""
        as_pose = select(DeviceRow.version.label("version")).where(DeviceRow.name == name)
        as_judge = select(DeviceRow.judge_version.label("version")).where(DeviceRow.judge_name == name)
        running = union_all(as_pose, as_judge).subquery()
        counted = select(running.c.version, func.count()).where(running.c.version.is_not(None))
        with transaction(self._engine) as session:
            found = session.execute(counted.group_by(running.c.version)).all()
        return dict(found)

    def page(self, after: str, limit: int) -> DeviceList:
        """The devices whose names come after this one."""
        rows = select(DeviceRow).where(DeviceRow.device > after).order_by(DeviceRow.device).limit(limit + 1)
        with transaction(self._engine) as session:
            found = [_state(row) for row in session.scalars(rows)]
        more = found[limit - 1].device if len(found) > limit else None
        return DeviceList(devices=tuple(found[:limit]), next=more)


def _state(row: DeviceRow) -> DeviceState:
    return DeviceState(
        device=row.device,
        name=row.name,
        channel=row.channel,
        version=row.version,
        manifest_sha256=row.manifest_sha256,
        judge_name=row.judge_name,
        judge_version=row.judge_version,
        judge_manifest_sha256=row.judge_manifest_sha256,
        outcome=row.outcome,
        message=row.message,
        reported_at=row.reported_at,
    )
