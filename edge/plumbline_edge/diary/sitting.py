"""Sitting, added up by the minute: how long, how well, and how long nobody sat there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from plumbline_contract.exercise import Exercise
from plumbline_edge.coach.state import CoachState
from plumbline_edge.diary.entries import SittingMinute

LONGEST_STEP_SECONDS = 2.0
"""From one frame to the next; more was a standstill, in which nothing is known."""


def is_all_day(exercise: Exercise) -> bool:
    """Whether an exercise goes on all day, with breaks, and is kept by the minute instead of by sets."""
    return exercise.hold is not None and exercise.hold.break_after_seconds is not None


def minutes_of(day: date) -> tuple[int, int]:
    """The first minute of a day in the device's time zone, and that of the next; 23 to 25 hours lie between them."""
    begins, ends = (
        datetime(each.year, each.month, each.day).astimezone().timestamp() for each in (day, day + timedelta(days=1))
    )
    return int(begins // 60), int(ends // 60)


@dataclass(frozen=True)
class ClockHour:
    """An hour as the clock shows it: on two days of the year one is shown twice, or never."""

    first: int
    """Its first minute, since 1970."""
    begins: str
    """What the clock shows then."""


def hours_of(day: date) -> list[ClockHour]:
    """The hours of a day in the device's time zone, as they came."""
    clock = ((minute, datetime.fromtimestamp(60 * minute)) for minute in range(*minutes_of(day)))
    # `fold` is 1 where the clock shows the same for the second time.
    hours = groupby(clock, lambda shown: (shown[1].hour, shown[1].fold))
    return [ClockHour(minute, f"{shown:%H:%M}") for minute, shown in (next(minutes) for _, minutes in hours)]


class SittingTally:
    """Adds up frames until they are taken away."""

    def __init__(self) -> None:
        self._minutes: dict[int, SittingMinute] = {}
        self._last: float | None = None

    def add(self, now: float, state: CoachState) -> None:
        """Count the time since the last frame to this one's state; `now` in seconds since 1970."""
        step = 0.0 if self._last is None else now - self._last
        self._last = now
        if not 0 < step <= LONGEST_STEP_SECONDS:
            return
        minute = int(now // 60)
        sits = state.hold_seconds > 0
        names = [fault.name for fault in state.faults] if sits else []
        seconds = SittingMinute(minute, step * sits, step * bool(names), step * (not sits), dict.fromkeys(names, step))
        self.put_back([seconds])

    def take_away(self) -> list[SittingMinute]:
        """What was added up since the last time."""
        minutes, self._minutes = list(self._minutes.values()), {}
        return minutes

    def put_back(self, minutes: Sequence[SittingMinute]) -> None:
        """Add these again: they could not be kept."""
        for minute in minutes:
            before = self._minutes.get(minute.minute)
            self._minutes[minute.minute] = minute if before is None else before.plus(minute)
