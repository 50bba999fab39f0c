"""The diary: sets and sitting kept, found, exported and deleted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from plumbline_edge.diary.database import Database
from plumbline_edge.diary.entries import SetAttempt, SetCounts, SetEntry, SetStart, SittingMinute
from plumbline_edge.diary.keypoints import Track, unpack
from plumbline_edge.diary.turns import Turns
from plumbline_edge.errors import SetTooLong, UnknownSet

DAY_SECONDS: Final = 86400.0
MOST_FRAMES: Final = 120_000
"""Of a set that is seen again: over two hours at 15 FPS. A report and the frames as CSV each take up to 1.6 kB a frame
while they are made, one after the other: under 200 MB, which fit beside the service's 155 into its unit's 700."""
BEGIN_OR_DATE_SET: Final = """
INSERT INTO sets (id, exercise, bundle, started_at, height, width) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at WHERE ABS(started_at - excluded.started_at) > 1
"""
"""A second is more than the clock drifts, and another time each time would write more to the SD card."""
SELECT_SETS: Final = """
SELECT sets.*, COUNT(attempts.set_id) AS attempts, AVG(peak_progress) AS mean_depth,
  AVG(CASE WHEN counted THEN attempts.seconds END) AS mean_rep_seconds,
  COALESCE(SUM(counted AND attempts.faults = '[]'), 0) AS clean_reps,
  EXISTS (SELECT 1 FROM chunks WHERE chunks.set_id = sets.id) AS has_keypoints
FROM sets LEFT JOIN attempts ON attempts.set_id = sets.id
"""


class Diary:
    """What is kept on this device. Every method raises DiaryUnusable where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.making_report = Turns()
        """Held while one is made, or a set's frames as CSV: who asks again must not double the memory that takes."""

    def begin(self, exercise: str, bundle: str, started_at: float, size: tuple[int, int]) -> int:
        """Open a set; its number, which no set had before: whoever still knows a deleted one must not meet another."""
        with self.database.use() as connection:
            cursor = connection.execute(
                "INSERT INTO sets (exercise, bundle, started_at, height, width) VALUES (?, ?, ?, ?, ?)",
                (exercise, bundle, started_at, *size),
            )
            assert cursor.lastrowid is not None
            self.database.last_number = cursor.lastrowid
            return cursor.lastrowid

    def add(
        self,
        set_id: int,
        chunk: bytes | None,
        attempts: Sequence[SetAttempt],
        counts: SetCounts,
        start: SetStart | None = None,
    ) -> None:
        """Keep what came since the last time; and when the set began, where the clock has been set since it did.

        With its `start`, a set goes on in another file, where the one it began in was moved away.
        """
        with self.database.use() as connection:
            if start is not None:
                connection.execute(
                    BEGIN_OR_DATE_SET, (set_id, start.exercise, start.bundle, start.started_at, *start.size)
                )
            if chunk is not None:
                connection.execute(
                    "INSERT INTO chunks SELECT ?, COUNT(*), ? FROM chunks WHERE set_id = ?", (set_id, chunk, set_id)
                )
            connection.executemany(
                "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?)", [_row_of(set_id, attempt) for attempt in attempts]
            )
            connection.execute(
                "UPDATE sets SET frames = ?, seconds = ?, reps = ?, partial_reps = ?, best_hold_seconds = ?,"
                " fault_counts = ? WHERE id = ?",
                (counts.frames, counts.seconds, counts.reps, counts.partial_reps, counts.best_hold_seconds,
                 json.dumps(dict(counts.fault_counts)), set_id),
            )  # fmt: skip

    def date(self, started_at: Mapping[int, float]) -> None:
        """These sets began then; those that are not kept any more are left out."""
        with self.database.use() as connection:
            connection.executemany(
                "UPDATE sets SET started_at = ? WHERE id = ?", [(began, set_id) for set_id, began in started_at.items()]
            )

    def finish(self, set_id: int) -> None:
        """The set ended as it should. One that never is, for a power cut, stays with what was kept of it."""
        with self.database.use() as connection:
            connection.execute("UPDATE sets SET finished = 1 WHERE id = ?", (set_id,))

    def sets(self, exercise: str | None = None, limit: int = 1000) -> list[SetEntry]:
        """The latest sets, of one exercise or all, the newest first."""
        if not self.database.exists:
            return []
        where, values = ("WHERE exercise = ?", (exercise,)) if exercise else ("", ())
        with self.database.use() as connection:
            query = f"{SELECT_SETS} {where} GROUP BY sets.id ORDER BY started_at DESC, id DESC LIMIT ?"
            return [_entry(row) for row in connection.execute(query, (*values, limit))]

    def set(self, set_id: int) -> SetEntry:
        """One set. Raises UnknownSet."""
        if self.database.exists:
            with self.database.use() as connection:
                row = connection.execute(f"{SELECT_SETS} WHERE sets.id = ? GROUP BY sets.id", (set_id,)).fetchone()
            if row is not None:
                return _entry(row)
        raise UnknownSet(f"there is no set {set_id}; /api/sets lists those that are kept")

    def attempts(self, set_id: int) -> list[SetAttempt]:
        """The set's attempts, in their order."""
        with self.database.use() as connection:
            rows = connection.execute("SELECT * FROM attempts WHERE set_id = ? ORDER BY ended_seconds", (set_id,))
            return [_attempt(row) for row in rows]

    def track(self, set_id: int) -> Track:
        """The set's keypoints; empty once they were too old to be kept. Raises SetTooLong, UnknownSet."""
        entry = self.set(set_id)
        if entry.has_keypoints and entry.counts.frames > MOST_FRAMES:
            raise SetTooLong(
                f"set {set_id} has {entry.counts.frames} frames, {MOST_FRAMES} fit into the memory; its counts and"
                " attempts are in /api/sets.json, and a shorter set has a report"
            )
        with self.database.use() as connection:
            rows = connection.execute("SELECT data FROM chunks WHERE set_id = ? ORDER BY number", (set_id,))
            return unpack([row["data"] for row in rows])

    def report(self, set_id: int) -> tuple[str, str] | None:
        """The report that was kept: page and JSON."""
        with self.database.use() as connection:
            row = connection.execute("SELECT page, data FROM reports WHERE set_id = ?", (set_id,)).fetchone()
        return None if row is None else (row["page"], row["data"])

    def keep_report(self, set_id: int, page: str, data: str) -> None:
        """Keep a report, as it takes long to make; not for a set that was deleted meanwhile."""
        with self.database.use() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO reports SELECT id, ?, ? FROM sets WHERE id = ?", (page, data, set_id)
            )

    def add_sitting(self, minutes: Sequence[SittingMinute]) -> None:
        """Add these seconds to those of the same minutes."""
        with self.database.use() as connection:
            for minute in minutes:
                _add_minute(connection, minute)

    def sitting(self, first_minute: int, last_minute: int) -> list[SittingMinute]:
        """The minutes from the first up to, not with, the last in which somebody was watched."""
        if not self.database.exists:
            return []
        with self.database.use() as connection:
            rows = connection.execute(
                "SELECT * FROM sitting WHERE minute >= ? AND minute < ? ORDER BY minute", (first_minute, last_minute)
            )
            return [_minute(row) for row in rows]

    def delete(self, set_id: int) -> None:
        """Delete one set with all that belongs to it. Raises UnknownSet."""
        self.set(set_id)
        with self.database.use() as connection:
            connection.execute("DELETE FROM sets WHERE id = ?", (set_id,))
        self.database.empty_log()

    def delete_all(self) -> None:
        """Delete everything but the last set's number."""
        self.database.delete()

    def forget(self, now: float, keep_days: float, keep_keypoints_days: float, under_way: int | None = None) -> int:
        """Delete what is older than it may be (0 days: nothing is); the number of sets that went.

        The set `under_way` stays whatever its age, which a clock that was far behind makes great until it is written.
        """
        if not self.database.exists:
            return 0
        with self.database.use() as connection:
            gone, changes = 0, connection.total_changes
            if keep_days > 0:
                oldest = now - keep_days * DAY_SECONDS
                query = "DELETE FROM sets WHERE started_at < ? AND id IS NOT ?"
                gone = connection.execute(query, (oldest, under_way)).rowcount
                connection.execute("DELETE FROM sitting WHERE minute < ?", (oldest // 60,))
            if keep_keypoints_days > 0:
                old = "(SELECT id FROM sets WHERE started_at < ? AND id IS NOT ?)"
                for table in ("chunks", "reports"):
                    connection.execute(
                        f"DELETE FROM {table} WHERE set_id IN {old}",  # noqa: S608  # names of our own tables
                        (now - keep_keypoints_days * DAY_SECONDS, under_way),
                    )
            changed = connection.total_changes > changes
        if changed:
            self.database.empty_log()
        return gone


def _row_of(set_id: int, attempt: SetAttempt) -> tuple[object, ...]:
    return (
        set_id, attempt.ended_seconds, attempt.seconds, attempt.counted, attempt.peak_progress, attempt.out_seconds,
        json.dumps(attempt.faults),
    )  # fmt: skip


def _attempt(row: sqlite3.Row) -> SetAttempt:
    return SetAttempt(
        row["ended_seconds"], row["seconds"], bool(row["counted"]), row["peak_progress"], row["out_seconds"],
        tuple(json.loads(row["faults"])),
    )  # fmt: skip


def _entry(row: sqlite3.Row) -> SetEntry:
    return SetEntry(
        id=row["id"],
        exercise=row["exercise"],
        bundle=row["bundle"],
        started_at=row["started_at"],
        size=(row["height"], row["width"]),
        finished=bool(row["finished"]),
        counts=SetCounts(
            row["frames"], row["seconds"], row["reps"], row["partial_reps"], row["best_hold_seconds"],
            json.loads(row["fault_counts"]),
        ),
        clean_reps=row["clean_reps"],
        mean_depth=row["mean_depth"],
        mean_rep_seconds=row["mean_rep_seconds"],
        has_keypoints=bool(row["has_keypoints"]),
    )  # fmt: skip


def _minute(row: sqlite3.Row) -> SittingMinute:
    return SittingMinute(
        row["minute"], row["sitting_seconds"], row["fault_seconds"], row["away_seconds"], json.loads(row["faults"])
    )


def _add_minute(connection: sqlite3.Connection, minute: SittingMinute) -> None:
    row = connection.execute("SELECT * FROM sitting WHERE minute = ?", (minute.minute,)).fetchone()
    total = minute if row is None else _minute(row).plus(minute)
    connection.execute(
        "INSERT OR REPLACE INTO sitting VALUES (?, ?, ?, ?, ?)",
        (total.minute, total.sitting_seconds, total.fault_seconds, total.away_seconds, json.dumps(dict(total.faults))),
    )
