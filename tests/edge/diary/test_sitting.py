"""Sitting by the minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.coach.state import CoachState, Fault
from plumbline_edge.diary.diary import Diary
from plumbline_edge.diary.entries import SittingMinute
from plumbline_edge.diary.sitting import ClockHour, SittingTally, hours_of, is_all_day, minutes_of
from plumbline_edge.web.diary_answers import sitting_day

WELL = CoachState(holds=True, hold_seconds=100.0)
SLUMPED = CoachState(holds=True, hold_seconds=100.0, faults=(Fault("slumping", (), "Sit tall", "moderate"),))
AWAY = CoachState(holds=True)


def test_sitting_goes_on_all_day_and_a_plank_does_not() -> None:
    assert is_all_day(load_exercise("sitting"))
    assert not is_all_day(load_exercise("plank"))
    assert not is_all_day(load_exercise("squat"))


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place with summer time."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 28), 24), ((2026, 3, 29), 23), ((2026, 10, 25), 25)])
def test_a_day_goes_from_midnight_to_midnight(day: tuple[int, int, int], hours: int) -> None:
    first, end = minutes_of(date(*day))
    assert end - first == hours * 60
    assert minutes_of(date(*day) + timedelta(days=1))[0] == end


def shown_hours(day: date) -> list[tuple[int, str]]:
    first, _ = minutes_of(day)
    return [(hour.first - first, hour.begins) for hour in hours_of(day)]


@pytest.mark.usefixtures("berlin")
def test_the_hours_of_a_day_are_those_of_the_clock() -> None:
    assert shown_hours(date(2026, 3, 28)) == [(60 * hour, f"{hour:02}:00") for hour in range(24)]
    spring, autumn = shown_hours(date(2026, 3, 29)), shown_hours(date(2026, 10, 25))
    assert spring[:4] == [(0, "00:00"), (60, "01:00"), (120, "03:00"), (180, "04:00")]
    assert spring[-1] == (22 * 60, "23:00")
    assert autumn[:5] == [(0, "00:00"), (60, "01:00"), (120, "02:00"), (180, "02:00"), (240, "03:00")]
    assert autumn[-1] == (24 * 60, "23:00")


def test_a_clock_may_change_by_half_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        # Lord Howe Island.
        there.setenv("TZ", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")
        time.tzset()
        autumn, spring = shown_hours(date(2026, 4, 5)), shown_hours(date(2026, 10, 4))
    time.tzset()
    assert autumn[1:4] == [(60, "01:00"), (120, "01:30"), (150, "02:00")]
    assert spring[1:4] == [(60, "01:00"), (120, "02:30"), (150, "03:00")]


def test_seconds_go_to_the_minute_and_to_what_they_were() -> None:
    tally = SittingTally()
    tally.add(600.0, WELL)
    for step in range(1, 121):
        state = WELL if step <= 60 else SLUMPED if step <= 80 else AWAY
        tally.add(600.0 + step, state)
    ten, eleven, twelve = tally.take_away()
    assert (ten.minute, eleven.minute, twelve.minute) == (10, 11, 12)
    assert (ten.sitting_seconds, ten.fault_seconds, ten.away_seconds) == (59, 0, 0)
    assert (eleven.sitting_seconds, eleven.fault_seconds, eleven.away_seconds) == (21, 20, 39)
    assert eleven.faults == {"slumping": 20}
    assert tally.take_away() == []


def test_a_standstill_counts_for_nothing() -> None:
    tally = SittingTally()
    tally.add(600.0, WELL)
    tally.add(700.0, WELL)
    tally.add(690.0, WELL)
    assert tally.take_away() == []


def test_minutes_add_up_in_the_diary_and_in_the_day(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "diary.sqlite3")
    first = 29_000_000
    for _ in range(2):
        diary.add_sitting([SittingMinute(first + 480, 20, 10, 5, {"slumping": 10})])
    diary.add_sitting([SittingMinute(first + minute, 60, 0, 0, {}) for minute in (481, 482, 490)])
    hours = [ClockHour(first, "00:00"), ClockHour(first + 60, "01:00")]
    day = sitting_day(date(2026, 1, 2), hours, diary.sitting(first, first + 1440))
    assert [(hour.minute, hour.begins) for hour in day.hours] == [(0, "00:00"), (60, "01:00")]
    assert [minute.minute for minute in day.minutes] == [480, 481, 482, 490]
    assert (day.sitting_seconds, day.fault_seconds) == (220, 20)
    assert (day.longest_minutes, day.breaks) == (3, 1)
    assert day.faults == pytest.approx({"slumping": 20})
