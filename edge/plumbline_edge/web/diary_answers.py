"""The diary as the API tells it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise

from pydantic import BaseModel

from plumbline_edge.diary.entries import SetAttempt, SetEntry, SittingMinute
from plumbline_edge.diary.replay import started
from plumbline_edge.diary.sitting import ClockHour

SITTING_SHARE = 0.5
"""A minute of which somebody sat more than this counts as sat through."""


class SetSummary(BaseModel):
    """A set in numbers."""

    id: int
    exercise: str
    bundle: str
    started_at: datetime
    seconds: float
    finished: bool
    reps: int
    partial_reps: int
    clean_reps: int
    best_hold_seconds: float
    mean_depth: float | None
    mean_rep_seconds: float | None
    fault_counts: dict[str, int]
    has_report: bool

    @classmethod
    def of(cls, entry: SetEntry) -> SetSummary:
        """What there is to say of a set."""
        counts = entry.counts
        return cls(
            id=entry.id,
            exercise=entry.exercise,
            bundle=entry.bundle,
            started_at=started(entry),
            seconds=round(counts.seconds, 2),
            finished=entry.finished,
            reps=counts.reps,
            partial_reps=counts.partial_reps,
            clean_reps=entry.clean_reps,
            best_hold_seconds=round(counts.best_hold_seconds, 2),
            mean_depth=_rounded(entry.mean_depth),
            mean_rep_seconds=_rounded(entry.mean_rep_seconds),
            fault_counts=dict(counts.fault_counts),
            has_report=entry.has_keypoints,
        )


class AttemptEntry(BaseModel):
    """An attempt of a set."""

    ended_seconds: float
    seconds: float
    counted: bool
    peak_progress: float
    out_seconds: float
    faults: list[str]

    @classmethod
    def of(cls, attempt: SetAttempt) -> AttemptEntry:
        """What there is to say of an attempt."""
        return cls(
            ended_seconds=round(attempt.ended_seconds, 3),
            seconds=round(attempt.seconds, 3),
            counted=attempt.counted,
            peak_progress=round(attempt.peak_progress, 3),
            out_seconds=round(attempt.out_seconds, 3),
            faults=list(attempt.faults),
        )


class SittingMinuteEntry(BaseModel):
    """A minute in which somebody was watched; `minute` counts from midnight, in an export from 1970."""

    minute: int
    sitting_seconds: float
    fault_seconds: float
    away_seconds: float
    faults: dict[str, float]

    @classmethod
    def of(cls, minute: SittingMinute, first: int = 0) -> SittingMinuteEntry:
        """The minute, counted from the first one."""
        return cls(
            minute=minute.minute - first,
            sitting_seconds=round(minute.sitting_seconds, 2),
            fault_seconds=round(minute.fault_seconds, 2),
            away_seconds=round(minute.away_seconds, 2),
            faults={name: round(seconds, 2) for name, seconds in minute.faults.items()},
        )


class SittingHour(BaseModel):
    """An hour of the clock."""

    minute: int
    """Its first, counted from midnight."""
    begins: str
    """What the clock shows then."""


class SittingDay(BaseModel):
    """A day of sitting."""

    day: date
    hours: list[SittingHour]
    """As they came: on the days of a clock change one comes twice, or none."""
    minutes: list[SittingMinuteEntry]
    sitting_seconds: float
    fault_seconds: float
    longest_minutes: int
    """The longest time without a minute's break."""
    breaks: int
    faults: dict[str, float]


def sitting_day(day: date, hours: Sequence[ClockHour], minutes: Sequence[SittingMinute]) -> SittingDay:
    """A day's hours and minutes, and what these add up to."""
    first = hours[0].first
    sat = [minute.minute for minute in minutes if minute.sitting_seconds > 60 * SITTING_SHARE]
    stretches = _stretches(sat)
    faults: dict[str, float] = {}
    for minute in minutes:
        for name, seconds in minute.faults.items():
            faults[name] = round(faults.get(name, 0.0) + seconds, 2)
    return SittingDay(
        day=day,
        hours=[SittingHour(minute=hour.first - first, begins=hour.begins) for hour in hours],
        minutes=[SittingMinuteEntry.of(minute, first) for minute in minutes],
        sitting_seconds=round(sum(minute.sitting_seconds for minute in minutes), 1),
        fault_seconds=round(sum(minute.fault_seconds for minute in minutes), 1),
        longest_minutes=max(stretches, default=0),
        breaks=max(0, len(stretches) - 1),
        faults=faults,
    )


def _stretches(sat: Sequence[int]) -> list[int]:
    """Lengths of the runs of successive minutes."""
    lengths = [1] if sat else []
    for before, after in pairwise(sat):
        if after == before + 1:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return lengths


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
