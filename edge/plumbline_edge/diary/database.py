"""The diary's SQLite file, made when something is first written."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from plumbline_edge.errors import DiaryUnusable

VERSION: Final = 1
BUSY_SECONDS: Final = 10.0
EMPTY_LOG: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
"""Write all of the log into the file, and leave nothing of it in the log."""


class Database:
    """One connection, used by one thread at a time. Whatever SQLite refuses is a DiaryUnusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last_number = 0
        """The highest number that a set was given, as far as this process knows: no other set is ever given it."""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        """Device and inode of the file that the connection is to."""

    @property
    def exists(self) -> bool:
        """Whether anything has been written yet. Raises DiaryUnusable."""
        try:
            return self._found() is not None
        except OSError as error:
            raise self._unusable(error) from error

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """The connection, in a transaction that is undone when an error leaves it. Raises DiaryUnusable.

        To the file that lies there now: one that was moved away, as the errors advise, is written no more.
        """
        with self._lock:
            try:
                self._leave_a_moved_file()
                connection = self._connection or self._open()
                with connection:
                    yield connection
            except (sqlite3.Error, OSError) as error:
                raise self._unusable(error) from error

    def empty_log(self) -> None:
        """What was deleted leaves the log too, where secure_delete overwrites nothing. Raises DiaryUnusable.

        Another program that reads the file keeps the log as it is until the next time, or until the file is closed.
        """
        with self.use() as connection:
            connection.execute(EMPTY_LOG)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._close()

    def delete(self) -> None:
        """Remove the file and all it held, for one that holds the last set's number alone. Raises DiaryUnusable."""
        with self._lock:
            # A file that cannot be read is deleted all the same.
            with suppress(sqlite3.Error, OSError):
                if self._connection is None and self.path.exists():
                    self._open()
            self._close()
            try:
                for suffix in ("", "-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            except OSError as error:
                raise DiaryUnusable(f"diary {str(self.path)!r}: {error}; remove the file by hand") from error
            if self.last_number:
                self._make_anew()

    def _make_anew(self) -> None:
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives the files beside it the same permissions.
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._opened = connection, self._found()
        return connection

    def _found(self) -> tuple[int, int] | None:
        """Device and inode of the file that lies there; None where there is none."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino

    def _leave_a_moved_file(self) -> None:
        if self._connection is None or self._found() == self._opened:
            return
        # SQLite does not do so when it closes a file that was moved. What the log still held would be lost to it, and
        # be taken for the log of the file that lies there now. One that is damaged may refuse.
        with suppress(sqlite3.Error):
            self._connection.execute(EMPTY_LOG)
        self._close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        # WAL writes little to an SD card. With NORMAL it would sync at checkpoints alone, minutes apart; FULL syncs
        # what each transaction wrote.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.DatabaseError(f"written by a later version ({version}, this one knows {VERSION})")
        connection.executescript(files("plumbline_edge.diary").joinpath("schema.sql").read_text(encoding="utf-8"))
        self._go_on_counting(connection)

    def _go_on_counting(self, connection: sqlite3.Connection) -> None:
        """Have the next set's number follow all that were given, also before this file was made."""
        (last,) = connection.execute("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'sets'").fetchone()
        if last < self.last_number:
            with connection:
                connection.execute("DELETE FROM sqlite_sequence WHERE name = 'sets'")
                connection.execute("INSERT INTO sqlite_sequence VALUES ('sets', ?)", (self.last_number,))
        self.last_number = max(last, self.last_number)

    def _unusable(self, error: Exception) -> DiaryUnusable:
        return DiaryUnusable(
            f"diary {str(self.path)!r}: {error}; free space, correct its permissions, or move the file away"
        )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
