"""A kept set seen again through the coach says what the coach said then."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from pathlib import Path

import pytest
from tests.edge.diary.sets import Exerciser
from tests.edge.dots import squats

from plumbline_edge.analysis import Analysis
from plumbline_edge.analysis_report import as_page
from plumbline_edge.coach.agreement import Agreement
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.diary.diary import Diary
from plumbline_edge.diary.recorder import SetRecorder
from plumbline_edge.diary.replay import analysis_of, exercise_of, frames_csv, report_of, sets_csv
from plumbline_edge.errors import KeypointsForgotten, UnknownExercise


def diary_with_a_set(tmp_path: Path) -> tuple[Diary, int]:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(SetRecorder(diary, 365, 30))
    set_id = person.begin()
    person.do([*squats(2), *squats(1, depth=0.45)])
    person.recorder.end()
    return diary, set_id


def test_report_of_a_set_counts_as_the_coach_did(tmp_path: Path) -> None:
    diary, set_id = diary_with_a_set(tmp_path)
    page, text = report_of(diary, diary.set(set_id), load_exercise("squat"))
    data = json.loads(text)
    counts = diary.set(set_id).counts
    assert (data["reps"], data["partial_reps"], data["frames"]) == (counts.reps, counts.partial_reps, counts.frames)
    assert (counts.reps, counts.partial_reps) == (2, 1)
    assert len(data["attempts"]) == len(diary.attempts(set_id)) == 3
    assert "Go lower" in page
    assert "data:image/jpeg" in page
    assert diary.report(set_id) == (page, text)


def test_report_of_a_set_tells_what_was_told_then_with_a_judge(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    person = Exerciser.of(SetRecorder(diary, 365, 30))
    set_id = person.begin()
    squat = person.coach.exercise
    # A judge alone, who never says a word: the rules would have found the shallow squat.
    person.coach = Coach(squat, agreement=Agreement(squat, {}, rules=False))
    person.do([*squats(2), *squats(1, depth=0.45)])
    person.recorder.end()
    page, text = report_of(diary, diary.set(set_id), squat)
    data = json.loads(text)
    assert diary.set(set_id).counts.fault_counts == {}
    assert [fault["times"] for fault in data["faults"]] == [0] * len(squat.faults)
    assert [attempt["faults"] for attempt in data["attempts"]] == [[], [], []]
    assert (data["reps"], data["partial_reps"]) == (2, 1)
    assert "no fault was found" in page


def test_a_report_that_is_asked_for_twice_at_once_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary, set_id = diary_with_a_set(tmp_path)
    made = list[str]()

    def slow_page(analysis: Analysis, name: str) -> str:
        made.append(name)
        time.sleep(0.1)
        return as_page(analysis, name)

    monkeypatch.setattr("plumbline_edge.diary.replay.as_page", slow_page)
    squat = load_exercise("squat")
    asking = [threading.Thread(target=report_of, args=(diary, diary.set(set_id), squat)) for _ in range(2)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(30)
    assert len(made) == 1


def test_frames_carry_angles_and_keypoints(tmp_path: Path) -> None:
    diary, set_id = diary_with_a_set(tmp_path)
    entry, track = diary.set(set_id), diary.track(set_id)
    rows = list(csv.DictReader(io.StringIO(frames_csv(analysis_of(entry, track, load_exercise("squat")), track))))
    assert len(rows) == entry.counts.frames
    knees = [float(row["joint angle: knee (degrees)"]) for row in rows if row["joint angle: knee (degrees)"]]
    assert max(knees) > 165
    assert min(knees) < 160
    assert float(rows[0]["nose_x"]) == pytest.approx(240, abs=0.1)


def test_sets_as_a_table(tmp_path: Path) -> None:
    diary, set_id = diary_with_a_set(tmp_path)
    (row,) = csv.DictReader(io.StringIO(sets_csv(diary.sets())))
    assert (row["id"], row["exercise"], row["reps"], row["faults"]) == (str(set_id), "squat", "2", "too_shallow:1")


def test_without_keypoints_or_exercise_there_is_no_report(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    squat = load_exercise("squat")
    forgotten = diary.begin("squat", "dots 1", 0.0, (360, 480))
    with pytest.raises(KeypointsForgotten, match=f"set {forgotten}"):
        report_of(diary, diary.set(forgotten), squat)
    unknown = diary.begin("my_own", "dots 1", 0.0, (360, 480))
    with pytest.raises(UnknownExercise, match=f"set {unknown} is of an exercise that is not here any more"):
        exercise_of(diary.set(unknown), squat)
