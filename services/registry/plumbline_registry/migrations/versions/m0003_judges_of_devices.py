"""Which judge of form each device runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add it to the reports."""
    for column in ("judge_name", "judge_version", "judge_manifest_sha256"):
        op.add_column("devices", sa.Column(column, sa.String(64)))
