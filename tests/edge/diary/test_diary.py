"""What is kept, found again, exported and deleted."""

from __future__ import annotations

import sqlite3
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.edge.diary.sets import Exerciser
from tests.edge.dots import squats, standing

from plumbline_edge.diary.diary import DAY_SECONDS, MOST_FRAMES, Diary
from plumbline_edge.diary.entries import SetCounts, SittingMinute
from plumbline_edge.diary.keypoints import pack, unpack
from plumbline_edge.diary.recorder import LONGEST_SET_SECONDS, LONGEST_WAIT_SECONDS, UNSEEN_SECONDS, SetRecorder
from plumbline_edge.errors import DiaryUnusable, NoSetUnderWay, SetTooLong, SetUnderWay, UnknownSet


def recorder_of(diary: Diary) -> SetRecorder:
    return SetRecorder(diary, keep_days=365, keep_keypoints_days=30)


def test_nothing_is_written_before_there_is_something_to_keep(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "state" / "diary.sqlite3")
    assert diary.sets() == []
    assert diary.sitting(0, 10**9) == []
    assert diary.forget(time.time(), 1, 1) == 0
    assert list(tmp_path.iterdir()) == []


def test_keypoints_come_back_to_a_tenth_of_a_pixel() -> None:
    generator = np.random.default_rng(3)
    keypoints_TK3 = (generator.random((50, 17, 3)) * [1920, 1080, 1]).astype(np.float32)
    keypoints_TK3[7, 3] = np.nan
    seconds = [index / 30 for index in range(50)]
    chunks = [pack(seconds[:20], list(keypoints_TK3[:20])), pack(seconds[20:], list(keypoints_TK3[20:]))]
    track = unpack(chunks)
    assert np.abs(track.seconds_T - seconds).max() <= 0.0005 + 1e-9
    expected_TK3 = np.nan_to_num(keypoints_TK3)
    assert np.abs(track.keypoints_TK3 - expected_TK3)[..., :2].max() <= 0.051
    assert np.abs(track.keypoints_TK3 - expected_TK3)[..., 2].max() <= 0.0051
    assert unpack([]).keypoints_TK3.shape == (0, 17, 3)


def test_a_long_set_is_in_memory_once() -> None:
    frames = 30 * 500
    chunk = pack([0.0] * 30, [np.ones((17, 3))] * 30)
    tracemalloc.start()
    try:
        track = unpack([chunk] * 500)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(track.seconds_T) == frames
    assert peak < 1.1 * (track.seconds_T.nbytes + track.keypoints_TK3.nbytes)


def test_a_set_that_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    set_id = diary.begin("sitting", "dots 1", 0.0, (360, 480))
    chunk = pack([0.0], [standing(240, 30, 300)])
    diary.add(set_id, chunk, [], SetCounts(frames=MOST_FRAMES))
    assert len(diary.track(set_id).seconds_T) == 1
    diary.add(set_id, chunk, [], SetCounts(frames=MOST_FRAMES + 1))
    with pytest.raises(SetTooLong, match=rf"set {set_id} has {MOST_FRAMES + 1} frames.*are in /api/sets\.json"):
        diary.track(set_id)
    diary.forget(time.time(), 0, 30)
    assert len(diary.track(set_id).seconds_T) == 0


def test_a_set_is_kept_with_its_attempts_and_keypoints(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    person.do(squats(1))
    set_id = person.begin()
    person.do([*squats(2), *squats(1, depth=0.45), *squats(1)])
    assert person.recorder.end() == set_id
    entry = diary.set(set_id)
    assert (entry.exercise, entry.finished, entry.has_keypoints, entry.size) == ("squat", True, True, (360, 480))
    assert (entry.counts.reps, entry.counts.partial_reps) == (3, 1)
    assert entry.counts.fault_counts == {"too_shallow": 1}
    assert (entry.clean_reps, len(diary.attempts(set_id))) == (3, 4)
    assert entry.counts.frames == len(diary.track(set_id).seconds_T)
    assert entry.mean_depth is not None
    assert 0.6 < entry.mean_depth < 1.1
    assert (tmp_path / "diary.sqlite3").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_a_power_cut_loses_the_last_seconds_alone(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    set_id = person.begin()
    stop = threading.Event()
    writing = threading.Thread(target=person.recorder.run, args=(stop,))
    writing.start()
    person.do(squats(2))
    stop.set()
    writing.join(30)
    # The process is gone: another one opens what the writing thread left.
    entry = Diary(tmp_path / "diary.sqlite3").set(set_id)
    assert (entry.finished, entry.counts.reps, entry.has_keypoints) == (False, 2, True)


def test_sets_begin_and_end_in_turn(tmp_path: Path) -> None:
    person = Exerciser.of(recorder_of(Diary(tmp_path / "diary.sqlite3")))
    with pytest.raises(NoSetUnderWay, match="begin one first"):
        person.recorder.end()
    set_id = person.begin()
    with pytest.raises(SetUnderWay, match=rf"set {set_id} of 'squat' is under way; end it first"):
        person.begin()
    assert person.recorder.rested_seconds is None
    person.recorder.end()
    assert person.recorder.rested_seconds is not None


@pytest.mark.parametrize(
    ("since", "seconds", "why"),
    [
        ("seen_at", UNSEEN_SECONDS, "nobody was seen for 10 minutes"),
        ("began_at", LONGEST_SET_SECONDS, "it went on for 12 hours"),
    ],
)
def test_a_set_that_nobody_ends_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, since: str, seconds: float, why: str
) -> None:
    warnings = list[str]()
    monkeypatch.setattr("plumbline_edge.diary.recorder.warn", warnings.append)
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    set_id = person.begin()
    person.do(squats(1))
    write_once(person.recorder)
    opened = person.recorder.open_set
    assert opened is not None
    setattr(opened, since, getattr(opened, since) - seconds)
    write_once(person.recorder)
    assert person.recorder.open_set is None
    assert warnings == [f"set {set_id} of 'squat' was ended: {why}"]
    entry = diary.set(set_id)
    assert (entry.finished, entry.counts.reps) == (True, 1)


def test_a_set_ends_with_the_last_frame_that_shows_somebody(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    set_id = person.begin()
    person.do(squats(1))
    frames = person.frames
    person.do([np.zeros((17, 3), np.float32)] * 40, seen=False)
    write_once(person.recorder)
    assert diary.set(set_id).counts.frames == len(diary.track(set_id).seconds_T) == frames
    person.do([standing(240, 30, 300)] * 10)
    write_once(person.recorder)
    assert diary.set(set_id).counts.frames == len(diary.track(set_id).seconds_T) == frames + 50
    person.do([np.zeros((17, 3), np.float32)] * 40, seen=False)
    person.recorder.end()
    entry = diary.set(set_id)
    assert (entry.counts.frames, len(diary.track(set_id).seconds_T)) == (frames + 50, frames + 50)
    assert entry.counts.seconds == diary.track(set_id).seconds_T[-1]


def test_every_transaction_is_on_the_disk_when_it_ends(tmp_path: Path) -> None:
    full = 2
    with Diary(tmp_path / "diary.sqlite3").database.use() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == full


def test_the_set_under_way_is_not_forgotten_however_old_the_clock_makes_it(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    set_id = person.begin()
    person.do(squats(1))
    write_once(person.recorder)
    frames = person.frames
    with diary.database.use() as connection:
        connection.execute("UPDATE sets SET started_at = 0")
    assert diary.forget(time.time(), 365, 30, under_way=set_id) == 0
    run_for(person.recorder, 1)
    assert len(diary.track(set_id).seconds_T) == frames
    person.do(squats(1))
    assert person.recorder.end() == set_id
    assert diary.set(set_id).counts.reps == 2
    assert diary.set(set_id).started_at == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize("days", [400, 40])
def test_a_set_that_was_made_before_the_clock_was_set_is_as_old_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    began_at = time.time()
    with monkeypatch.context() as behind:
        behind.setattr("plumbline_edge.diary.recorder.time.time", lambda: began_at - days * DAY_SECONDS)
        person = Exerciser.of(recorder_of(diary))
        set_id = person.begin()
        person.do(squats(1))
        person.recorder.end()
    other = diary.begin("squat", "dots 1", began_at - days * DAY_SECONDS, (360, 480))
    run_for(person.recorder, 1)
    entry = diary.set(set_id)
    assert entry.started_at == pytest.approx(began_at, abs=60)
    assert entry.has_keypoints
    # What another process dated is not this one's to mend.
    assert [each.id for each in diary.sets() if each.id == other] == ([] if days > 365 else [other])


def test_a_set_under_way_goes_on_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "diary.sqlite3"
    diary = Diary(path)
    person = Exerciser.of(recorder_of(diary))
    set_id = person.begin()
    person.do(squats(1))
    write_once(person.recorder)
    path.rename(tmp_path / "away.sqlite3")
    frames = person.frames
    person.do(squats(1))
    assert person.recorder.end() == set_id
    entry = diary.set(set_id)
    assert (entry.finished, entry.counts.reps, entry.size) == (True, 2, (360, 480))
    assert len(diary.track(set_id).seconds_T) == person.frames - frames


def test_sitting_is_kept_beside_a_set_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary), "sitting")
    with full_disk(diary, monkeypatch):
        person.begin()
        clock = iter(range(10**6, 10**7))
        monkeypatch.setattr("plumbline_edge.diary.recorder.time.time", lambda: float(next(clock)))
        person.do([standing(240, 30, 300)] * 20)
        write_once(person.recorder)
    assert sum(minute.away_seconds + minute.sitting_seconds for minute in diary.sitting(0, 10**9)) == 19


def test_a_full_disk_costs_each_frame_once_and_is_asked_ever_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings, packed = list[str](), list[int]()
    monkeypatch.setattr("plumbline_edge.diary.recorder.warn", warnings.append)

    def noting(seconds: list[float], keypoints: list[npt.NDArray[np.float32]]) -> bytes:
        packed.append(len(seconds))
        return pack(seconds, keypoints)

    monkeypatch.setattr("plumbline_edge.diary.recorder.pack", noting)
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    set_id = person.begin()
    with full_disk(diary, monkeypatch):
        waits = run_for(person.recorder, 9, person)
    assert waits == [2, 4, 8, 16, 32, *[LONGEST_WAIT_SECONDS] * 4]
    assert sum(packed) == person.frames
    assert warnings == ["no space left"]
    write_once(person.recorder)
    assert len(diary.track(set_id).seconds_T) == diary.set(set_id).counts.frames == person.frames
    assert len(packed) == 9


def test_what_waits_for_a_full_disk_is_bounded_and_the_oldest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = list[str]()
    monkeypatch.setattr("plumbline_edge.diary.recorder.warn", warnings.append)
    monkeypatch.setattr("plumbline_edge.diary.recorder.BACKLOG_BYTES", 1000)
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    set_id = person.begin()
    with full_disk(diary, monkeypatch):
        run_for(person.recorder, 20, person)
    opened = person.recorder.open_set
    assert opened is not None
    assert 0 < sum(map(len, opened.packed)) <= 1000
    assert warnings == [
        "no space left",
        f"set {set_id} of 'squat': its oldest keypoints are dropped, as none can be written",
    ]
    person.recorder.end()
    track = diary.track(set_id)
    assert 0 < len(track.seconds_T) < person.frames
    assert track.seconds_T[-1] == pytest.approx((person.frames - 1) / 25, abs=0.001)


def test_a_set_that_should_have_ended_takes_in_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    person.begin()
    opened = person.recorder.open_set
    assert opened is not None
    with full_disk(diary, monkeypatch):
        opened.seen_at -= UNSEEN_SECONDS
        write_once(person.recorder)
        person.do([standing(240, 30, 300)] * 20)
    assert (person.recorder.open_set, opened.frames) == (opened, 0)


@contextmanager
def full_disk(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing can be added to a set meanwhile."""

    def refuse(*_: object) -> None:
        raise DiaryUnusable("no space left")

    with monkeypatch.context() as full:
        full.setattr(diary, "add", refuse)
        yield


def run_for(recorder: SetRecorder, rounds: int, person: Exerciser | None = None) -> list[float]:
    """Write this often, without waiting, and each time after ten frames of somebody; how long was to be waited."""
    waits = list[float]()

    class Rounds(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if len(waits) == rounds:
                return True
            waits.append(timeout or 0.0)
            if person is not None:
                person.do([standing(240, 30, 300)] * 10)
            return False

    recorder.run(Rounds())
    return waits


def write_once(recorder: SetRecorder) -> None:
    stop = threading.Event()
    stop.set()
    recorder.run(stop)


def test_what_is_old_is_forgotten_keypoints_before_counts(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    now = time.time()
    for days in (400, 40, 4):
        set_id = diary.begin("squat", "dots 1", now - days * DAY_SECONDS, (360, 480))
        diary.add(set_id, pack([0.0], [standing(240, 30, 300)]), [], SetCounts(1, 1.0, 3))
        diary.keep_report(set_id, "page", "{}")
        diary.add_sitting([SittingMinute(int((now - days * DAY_SECONDS) // 60), 60, 0, 0, {})])
    assert diary.forget(now, 0, 0) == 0
    assert diary.forget(now, 365, 30) == 1
    assert [entry.has_keypoints for entry in diary.sets()] == [True, False]
    assert [diary.report(entry.id) is not None for entry in diary.sets()] == [True, False]
    assert len(diary.sitting(0, 10**9)) == 2


def test_deleting_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(recorder_of(diary))
    set_id = person.begin()
    with pytest.raises(SetUnderWay):
        person.recorder.require_ended(set_id)
    person.recorder.drop()
    assert (diary.sets(), person.recorder.open_set) == ([], None)
    set_id = person.begin()
    person.do(squats(1))
    person.recorder.end()
    diary.delete(set_id)
    assert diary.sets() == []
    with pytest.raises(UnknownSet, match=f"there is no set {set_id}"):
        diary.delete(set_id)
    with sqlite3.connect(tmp_path / "diary.sqlite3") as connection:
        assert connection.execute("SELECT COUNT(*) FROM chunks").fetchone() == (0,)
        assert connection.execute("SELECT COUNT(*) FROM attempts").fetchone() == (0,)


def test_no_number_is_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "diary.sqlite3"
    diary = Diary(path)
    deleted = diary.begin("squat", "dots 1", 0.0, (360, 480))
    diary.delete_all()
    after = diary.begin("lunge", "dots 1", 0.0, (360, 480))
    diary.keep_report(deleted, "the deleted set's", "{}")
    assert (after, diary.report(after)) == (deleted + 1, None)
    with pytest.raises(UnknownSet, match=f"there is no set {deleted}"):
        diary.delete(deleted)
    diary.database.close()
    # After a restart too, whichever comes first.
    restarted = Diary(path)
    restarted.delete_all()
    restarted.database.close()
    assert Diary(path).begin("squat", "dots 1", 0.0, (360, 480)) == after + 1


def test_deleting_all_leaves_the_last_number_alone(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    diary.delete_all()
    assert list(tmp_path.iterdir()) == []
    mark = b"somebody's keypoints"
    diary.add(diary.begin("squat", "dots 1", 0.0, (360, 480)), mark, [], SetCounts(1))
    diary.delete_all()
    assert traces(tmp_path, mark) == []
    with diary.database.use() as connection:
        tables = ("sets", "attempts", "chunks", "reports", "sitting")
        assert [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables] == [[]] * 5  # noqa: S608


def test_a_file_that_is_no_diary_can_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "diary.sqlite3"
    path.write_bytes(b"this is somebody's letter, not a database" * 40)
    diary = Diary(path)
    diary.delete_all()
    assert list(tmp_path.iterdir()) == []
    assert diary.begin("squat", "dots 1", 0.0, (360, 480)) == 1


def test_what_is_deleted_or_forgotten_is_in_no_file_any_more(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    deleted, forgotten, too_old = b"the deleted set's" * 40, b"the forgotten set's" * 40, b"the old keypoints" * 40
    now = time.time()
    set_id = diary.begin("squat", "dots 1", now, (360, 480))
    diary.add(set_id, deleted, [], SetCounts(1))
    for mark, days in ((forgotten, 400), (too_old, 40)):
        diary.add(diary.begin("squat", "dots 1", now - days * DAY_SECONDS, (360, 480)), mark, [], SetCounts(1))
    diary.delete(set_id)
    assert diary.forget(now, 365, 0) == 1
    assert traces(tmp_path, deleted, forgotten) == []
    assert diary.forget(now, 365, 30) == 0
    assert traces(tmp_path, too_old) == []


def traces(folder: Path, *marks: bytes) -> list[str]:
    """The files in which one of these is still to be read."""
    return [path.name for path in folder.iterdir() if any(mark in path.read_bytes() for mark in marks)]


def test_a_file_that_is_moved_away_is_whole_and_another_is_made(tmp_path: Path) -> None:
    path, away = tmp_path / "diary.sqlite3", tmp_path / "away.sqlite3"
    diary = Diary(path)
    moved = diary.begin("squat", "dots 1", 0.0, (360, 480))
    path.rename(away)
    assert diary.sets() == []
    after = diary.begin("lunge", "dots 1", 0.0, (360, 480))
    assert after == moved + 1
    assert [entry.id for entry in Diary(path).sets()] == [after]
    assert [entry.id for entry in Diary(away).sets()] == [moved]


def test_a_file_that_is_put_in_place_of_another_is_used(tmp_path: Path) -> None:
    path, kept = tmp_path / "diary.sqlite3", tmp_path / "kept.sqlite3"
    other = Diary(kept)
    other.begin("plank", "dots 1", 0.0, (360, 480))
    other.database.close()
    diary = Diary(path)
    for _ in range(3):
        diary.begin("squat", "dots 1", 0.0, (360, 480))
    kept.replace(path)
    assert [entry.exercise for entry in diary.sets()] == ["plank"]
    assert diary.begin("lunge", "dots 1", 0.0, (360, 480)) == 4


def test_a_damaged_file_is_moved_away_while_the_service_runs(tmp_path: Path) -> None:
    path = tmp_path / "diary.sqlite3"
    diary = Diary(path)
    before = diary.begin("squat", "dots 1", 0.0, (360, 480))
    diary.database.close()
    assert [entry.id for entry in diary.sets()] == [before]
    with path.open("r+b") as file:
        file.write(b"x" * 8192)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).rename(tmp_path / f"away{suffix}")
    assert diary.begin("squat", "dots 1", 0.0, (360, 480)) == before + 1
    assert path.exists()


def test_a_file_that_is_no_diary_is_said_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "diary.sqlite3"
    path.write_bytes(b"this is somebody's letter, not a database" * 40)
    before = path.read_bytes()
    person = Exerciser.of(recorder_of(Diary(path)))
    with pytest.raises(DiaryUnusable, match=r"diary '.*diary\.sqlite3': file is not a database; .*move the file away"):
        person.begin()
    assert path.read_bytes() == before
    person.do(squats(1))
    assert person.coach.state.reps == 1


def test_a_file_that_cannot_be_looked_for_is_said_and_ends_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = list[str]()
    monkeypatch.setattr("plumbline_edge.diary.recorder.warn", warnings.append)
    # Looked for by root, who may enter every folder, a name that is too long is refused as a closed folder's is.
    diary = Diary(tmp_path / f"{'d' * 300}.sqlite3")
    with pytest.raises(DiaryUnusable, match=r"diary '.*d\.sqlite3': .*File name too long.*; .*or move the file away"):
        diary.sets()
    assert run_for(recorder_of(diary), 2) == [2, 4]
    assert len(warnings) == 1


def test_a_diary_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "diary.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DiaryUnusable, match=r"written by a later version \(99, this one knows 1\)"):
        Diary(path).sets()
