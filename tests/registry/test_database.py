"""What a database that does not answer looks like, and the connections that are kept to one."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import QueuePool

from plumbline_registry import database
from plumbline_registry.database import open_engine, transaction
from plumbline_registry.errors import StorageUnavailable


def test_no_free_connection_is_an_unavailable_storage(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite3", pool_size=1, max_overflow=0, pool_timeout=0.05)
    with engine.connect(), pytest.raises(StorageUnavailable, match="every connection is taken"):  # noqa: SIM117
        with transaction(engine) as session:
            session.execute(text("SELECT 1"))
    engine.dispose()


def test_postgresql_gets_a_connection_for_each_worker_thread_and_is_waited_for_so_long() -> None:
    asked = []
    for url in ("postgresql+psycopg://a@b/c", "postgresql+psycopg://a@b/c?connect_timeout=3"):
        engine = database._postgresql_engine(url)
        pool = engine.pool
        assert isinstance(pool, QueuePool)
        assert pool.size() + pool._max_overflow == 40

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: object, _record: object, _args: object, given: dict[str, object]) -> None:
            asked.append(int(str(given["connect_timeout"])))
            raise ConnectionRefusedError

        with pytest.raises(ConnectionRefusedError):
            engine.connect()
    assert asked == [database.CONNECT_SECONDS, 3]


def test_address_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)  # the least that libpq takes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable, match="timeout"):
            open_engine(f"postgresql+psycopg://a@127.0.0.1:{silent.getsockname()[1]}/b")
    assert time.monotonic() - begun < 20
