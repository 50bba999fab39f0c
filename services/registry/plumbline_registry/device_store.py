"""The newest report of each device."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import Engine, func, select

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
        """How many devices that follow a bundle say that they run each of its versions."""
        of_bundle = select(DeviceRow.version, func.count()).where(DeviceRow.name == name)
        with transaction(self._engine) as session:
            found = session.execute(of_bundle.group_by(DeviceRow.version)).all()
        return {version: count for version, count in found if version is not None}

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
        outcome=row.outcome,
        message=row.message,
        reported_at=row.reported_at,
    )
