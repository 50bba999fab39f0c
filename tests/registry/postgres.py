"""A PostgreSQL of our own, for `make test-stores`: started once, a database for each registry that a test makes."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

VARIABLE = "PLUMBLINE_TEST_POSTGRES_PORT"
_PLACES = ("/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin", "/usr/bin")


@contextmanager
def cluster() -> Iterator[int]:
    """A server on a free port, gone afterwards. Fails loudly where PostgreSQL is not installed."""
    pg_ctl = shutil.which("pg_ctl", path=os.pathsep.join((*_PLACES, os.environ.get("PATH", ""))))
    assert pg_ctl, "pg_ctl is missing (apt-get install postgresql): the registry was NOT tested on PostgreSQL"
    with tempfile.TemporaryDirectory(prefix="plumbline-pg-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        data = Path(folder) / "data"
        # The server refuses to run as root.
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(folder, "postgres")
        run = [*as_user, pg_ctl, "--pgdata", str(data)]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=300"
        quiet = subprocess.DEVNULL
        subprocess.run([*run, "initdb", "-o", "--auth=trust --username=postgres"], check=True, cwd="/", stdout=quiet)
        start = [*run, "start", "-w", "-l", f"{folder}/log", "-o", options]
        subprocess.run(start, check=True, cwd="/", stdout=quiet)
        try:
            yield port
        finally:
            subprocess.run([*run, "stop", "-m", "immediate"], check=True, cwd="/", stdout=quiet)


def database_for(folder: Path) -> str:
    """The URL of the database that belongs to this folder; made if it is not there yet."""
    port, name = os.environ[VARIABLE], f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:20]}"
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql+psycopg://postgres@127.0.0.1:{port}/{name}"
