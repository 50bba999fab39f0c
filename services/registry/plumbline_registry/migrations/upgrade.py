"""Brings the tables to their newest state, all steps or none."""

from __future__ import annotations

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from plumbline_registry.errors import StorageUnavailable

_SCRIPTS: Final = "plumbline_registry:migrations"
FIRST: Final = "0001"
"""The tables as they were before there were steps."""


def upgrade(connection: Connection) -> None:
    """Do what is missing, in the caller's transaction. Raises StorageUnavailable for tables of a newer release."""
    config = _config(connection)
    if _is_unnumbered(connection):
        command.stamp(config, FIRST)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageUnavailable(
            f"the database's tables are of another release ({error}); run that release or a newer one"
        ) from error


def newest() -> str | None:
    """The number of the last step."""
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _is_unnumbered(connection: Connection) -> bool:
    if MigrationContext.configure(connection).get_current_revision() is not None:
        return False
    return inspect(connection).has_table("versions")
