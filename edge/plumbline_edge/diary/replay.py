"""A kept set seen again: its report, and its angles, from its keypoints alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from plumbline_contract.errors import InvalidExercise
from plumbline_contract.exercise import Exercise
from plumbline_contract.skeleton import KEYPOINT_NAMES
from plumbline_edge.analysis import Analysis, Repetition
from plumbline_edge.analysis_report import as_json, as_page
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.diary.diary import Diary
from plumbline_edge.diary.entries import SetAttempt, SetCounts, SetEntry
from plumbline_edge.diary.keypoints import Track
from plumbline_edge.errors import KeypointsForgotten, UnknownExercise
from plumbline_edge.view import HIDDEN_BGR

SET_COLUMNS: Final = (
    "id", "exercise", "started_at", "seconds", "reps", "partial_reps", "clean_reps", "mean_depth", "mean_rep_seconds",
    "best_hold_seconds", "faults",
)  # fmt: skip


def exercise_of(entry: SetEntry, configured: Exercise) -> Exercise:
    """The definition a set was done by: the service's own, or one of the coach's. Raises UnknownExercise."""
    if entry.exercise == configured.name:
        return configured
    try:
        return load_exercise(entry.exercise)
    except InvalidExercise as error:
        raise UnknownExercise(f"set {entry.id} is of an exercise that is not here any more: {error}") from error


def analysis_of(entry: SetEntry, track: Track, exercise: Exercise) -> Analysis:
    """The set through the coach again, over an even ground. Raises KeypointsForgotten."""
    if not len(track.seconds_T):
        raise KeypointsForgotten(f"the keypoints of set {entry.id} are not kept any more, or there never were any")
    analysis = Analysis(exercise)
    ground_HW3 = np.full((*entry.size, 3), HIDDEN_BGR, dtype=np.uint8)
    for seconds, keypoints_K3 in zip(track.seconds_T.tolist(), track.keypoints_TK3, strict=True):
        analysis.take(seconds, ground_HW3, keypoints_K3, bool((keypoints_K3[:, 2] > 0).any()))
    return analysis


def _retell(analysis: Analysis, counts: SetCounts, attempts: Iterable[SetAttempt]) -> None:
    """The set's own counts and attempts, as the history has them: the replay knows the rules' word alone."""
    state = replace(
        analysis.state,
        reps=counts.reps,
        partial_reps=counts.partial_reps,
        best_hold_seconds=counts.best_hold_seconds,
        fault_counts=counts.fault_counts,
    )
    analysis.retell(state, [_repetition(attempt) for attempt in attempts])


def _repetition(attempt: SetAttempt) -> Repetition:
    return Repetition(
        attempt.ended_seconds - attempt.seconds,
        attempt.ended_seconds,
        attempt.counted,
        attempt.peak_progress,
        attempt.out_seconds,
        attempt.seconds - attempt.out_seconds,
        attempt.faults,
    )


def report_of(diary: Diary, entry: SetEntry, chosen: Exercise) -> tuple[str, str]:
    """The report as a page and as JSON; made once, then kept.

    Raises KeypointsForgotten, ReportUnderWay, SetTooLong, UnknownExercise, UnknownSet.
    """
    if (kept := diary.report(entry.id)) is not None:
        return kept
    with diary.making_report:
        # Somebody who asked before may have had it made meanwhile.
        return diary.report(entry.id) or _make_report(diary, entry, chosen)


def frames_of(diary: Diary, entry: SetEntry, chosen: Exercise) -> str:
    """The set's frames as CSV; made in turn with reports, as it takes as much memory.

    Raises KeypointsForgotten, ReportUnderWay, SetTooLong, UnknownExercise, UnknownSet.
    """
    with diary.making_report:
        track = diary.track(entry.id)
        return frames_csv(analysis_of(entry, track, exercise_of(entry, chosen)), track)


def _make_report(diary: Diary, entry: SetEntry, chosen: Exercise) -> tuple[str, str]:
    analysis = analysis_of(entry, diary.track(entry.id), exercise_of(entry, chosen))
    _retell(analysis, entry.counts, diary.attempts(entry.id))
    name = f"set {entry.id}, {started(entry):%Y-%m-%d %H:%M}"
    page, data = as_page(analysis, name), as_json(analysis, name)
    if entry.finished:
        diary.keep_report(entry.id, page, data)
    return page, data


def started(entry: SetEntry) -> datetime:
    """When a set began, in the device's own time zone."""
    return datetime.fromtimestamp(entry.started_at).astimezone()


def sets_csv(entries: Iterable[SetEntry]) -> str:
    """One line a set."""
    return _csv(SET_COLUMNS, (_set_row(entry) for entry in entries))


def frames_csv(analysis: Analysis, track: Track) -> str:
    """One line a frame: seconds, progress, each measure, and each keypoint's x, y and score."""
    points = [f"{name}_{axis}" for name in KEYPOINT_NAMES for axis in ("x", "y", "score")]
    rows = (
        [round(seconds, 3), analysis.progress[index], *(curve[index] for curve in analysis.curves.values()),
         *(round(float(value), 2) for value in track.keypoints_TK3[index].reshape(-1))]
        for index, seconds in enumerate(track.seconds_T.tolist())
    )  # fmt: skip
    return _csv(("seconds", "progress", *analysis.curves, *points), rows)


def _set_row(entry: SetEntry) -> list[object]:
    counts = entry.counts
    faults = " ".join(f"{name}:{count}" for name, count in counts.fault_counts.items())
    return [
        entry.id, entry.exercise, started(entry).isoformat(timespec="seconds"), round(counts.seconds, 1), counts.reps,
        counts.partial_reps, entry.clean_reps, entry.mean_depth, entry.mean_rep_seconds, counts.best_hold_seconds,
        faults,
    ]  # fmt: skip


def _csv(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_short(value) for value in row] for row in rows)
    return text.getvalue()


def _short(value: object) -> object:
    if value is None:
        return ""
    return round(value, 4) if isinstance(value, float) else value
