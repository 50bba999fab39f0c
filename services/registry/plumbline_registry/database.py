"""The engine and its transactions; what SQLite needs to be durable and safe under concurrent writers is here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from plumbline_registry.errors import StorageFull, StorageUnavailable
from plumbline_registry.migrations.upgrade import upgrade

_SCHEMA_LOCK: Final = 0x706C756D62
_POSTGRES_DISK_FULL: Final = "53100"
_POSTGRES_NO_TABLE: Final = "42P01"
BUSY_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10
"""Or an address that swallows packets would hold a request for minutes."""
_OURS: Final = (IntegrityError, ProgrammingError, DataError)
"""Errors that a statement of ours causes, unlike those that a disk or a server causes."""


def open_engine(url: str) -> Engine:
    """An engine whose tables exist. Raises StorageUnavailable, StorageFull."""
    try:
        engine = _ENGINES.get(make_url(url).get_backend_name(), create_engine)(url)
    except (ArgumentError, ImportError, OSError) as error:
        raise StorageUnavailable(
            f"database cannot be opened: {error}; check PLUMBLINE_REGISTRY_DATABASE_URL"
        ) from error
    try:
        with transaction(engine, write=True) as session:
            if engine.dialect.name == "postgresql":
                # Replicas that start together must not make the tables twice.
                session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
            upgrade(session.connection())
    except StorageUnavailable as error:
        engine.dispose()
        raise StorageUnavailable(f"{error} ({engine.url!r}); check PLUMBLINE_REGISTRY_DATABASE_URL") from error
    return engine


@contextmanager
def transaction(engine: Engine, *, write: bool = False) -> Iterator[Session]:
    """A session that commits at the end of the block. Raises StorageFull, StorageUnavailable."""
    try:
        with Session(engine.execution_options(plumbline_write=write)) as session, session.begin():
            yield session
    except DatabaseError as error:
        if isinstance(error, _OURS) and getattr(error.orig, "sqlstate", None) != _POSTGRES_NO_TABLE:
            raise
        if (
            getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            or getattr(error.orig, "sqlstate", None) == _POSTGRES_DISK_FULL
        ):
            raise StorageFull("database: the disk is full; nothing was kept, free some space and try again") from error
        raise StorageUnavailable(f"database: {error.orig}") from error
    except PoolTimeout as error:
        raise StorageUnavailable(f"database: every connection is taken ({error}); try again") from error


def _sqlite_engine(url: str) -> Engine:
    file = make_url(url).database
    if not file or file == ":memory:":
        raise ArgumentError("SQLite needs a file, such as sqlite:///var/registry/registry.sqlite3")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, max_overflow=35)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql_engine(url: str) -> Engine:
    """With a connection for each of the framework's 40 worker threads, of which half stay open."""
    asked = make_url(url).query.get("connect_timeout", CONNECT_SECONDS)
    return create_engine(url, connect_args={"connect_timeout": asked}, pool_size=20, max_overflow=20)


_ENGINES: Final = {"sqlite": _sqlite_engine, "postgresql": _postgresql_engine}


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come too late; _begin_sqlite sends it
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock before it reads, so that what it read still holds when it writes."""
    write = connection.get_execution_options().get("plumbline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
