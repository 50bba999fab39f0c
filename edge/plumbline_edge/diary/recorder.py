"""Writes the set under way into the diary: frames are noted in the inference thread, written in another."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_edge.coach.state import CoachState
from plumbline_edge.diary.clock import booted_at, since_boot
from plumbline_edge.diary.diary import Diary
from plumbline_edge.diary.entries import SetAttempt, SetCounts, SetStart
from plumbline_edge.diary.keypoints import pack
from plumbline_edge.diary.sitting import SittingTally, is_all_day
from plumbline_edge.errors import DiaryUnusable, NoSetUnderWay, SetUnderWay
from plumbline_edge.logs import warn
from plumbline_edge.session import Result

WRITE_SECONDS: Final = 2.0
"""A power cut loses no more than this."""
LONGEST_WAIT_SECONDS: Final = 60.0
"""Of a diary that cannot be written, until it is tried again."""
BACKLOG_BYTES: Final = 32 << 20
"""Of packed keypoints that wait to be written, hours of a set; beyond that the oldest go."""
FORGET_SECONDS: Final = 3600.0
UNSEEN_SECONDS: Final = 600.0
"""A set in which nobody was seen for this long was forgotten."""
LONGEST_SET_SECONDS: Final = 12 * 3600.0
"""More than a day at a desk."""
CLOCK_SET_SECONDS: Final = 300.0
"""By which a clock that was wrong jumps at least; less makes no set so old that it is forgotten."""


@dataclass
class OpenSet:
    """The set under way, with what was not yet written."""

    id: int
    exercise: str
    bundle: str
    size: tuple[int, int]
    began_at: float
    """since_boot()."""
    seen_at: float
    """The same, of the last frame that shows somebody."""
    first_seconds: float | None = None
    frames: int = 0
    unseen: int = 0
    """How many of the frames were the last ones, with nobody in them: they are kept once somebody is seen again."""
    counts: SetCounts = field(default_factory=SetCounts)
    seconds: list[float] = field(default_factory=list)
    keypoints: list[npt.NDArray[np.floating]] = field(default_factory=list)
    attempts: list[SetAttempt] = field(default_factory=list)
    packed: deque[bytes] = field(default_factory=deque)
    """Keypoints that are ready to be written, the oldest first."""
    dropped: bool = False
    """Some of them were, as there were too many."""

    def note(
        self, timestamp_seconds: float, keypoints_K3: npt.NDArray[np.floating], state: CoachState, seen: bool
    ) -> None:
        """Take in a frame; `seen`: somebody is in it."""
        if self.first_seconds is None:
            self.first_seconds = timestamp_seconds
        seconds = timestamp_seconds - self.first_seconds
        self.frames += 1
        self.seconds.append(seconds)
        self.keypoints.append(keypoints_K3)
        if state.attempt is not None:
            self.attempts.append(SetAttempt.of(state.attempt, state.attempt_faults, seconds))
        if seen or state.attempt is not None:
            self.counts = SetCounts.of(state, self.frames, seconds)
            self.unseen, self.seen_at = 0, since_boot()
        else:
            self.unseen += 1

    @property
    def start(self) -> SetStart:
        """How it began; when, by the clock as it is set now."""
        return SetStart(self.exercise, self.bundle, booted_at() + self.began_at, self.size)

    def forgotten(self) -> str | None:
        """Why the set should end by itself, if it should."""
        now = since_boot()
        if now - self.seen_at >= UNSEEN_SECONDS:
            return f"nobody was seen for {UNSEEN_SECONDS / 60:g} minutes"
        if now - self.began_at >= LONGEST_SET_SECONDS:
            return f"it went on for {LONGEST_SET_SECONDS / 3600:g} hours"
        return None


class SetRecorder:
    """Begins and ends sets, and keeps sitting by the minute."""

    def __init__(self, diary: Diary, keep_days: float, keep_keypoints_days: float) -> None:
        self._diary = diary
        self._keep_days = (keep_days, keep_keypoints_days)
        self._lock = threading.Lock()
        self._open: OpenSet | None = None
        self._writing = threading.Lock()
        self._sitting = SittingTally()
        self._ended_at: float | None = None
        self._ended = dict[int, float]()
        """When each set that ended here began, since_boot()."""
        self._booted_at = booted_at()
        """By the clock that dated them."""
        self._refused = False

    @property
    def open_set(self) -> OpenSet | None:
        """The set under way."""
        return self._open

    @property
    def rested_seconds(self) -> float | None:
        """Since the last set ended; None before the first, and during one."""
        ended_at = self._ended_at
        return None if ended_at is None or self._open is not None else time.monotonic() - ended_at

    def begin(self, exercise: str, bundle: str, size: tuple[int, int], count_from_nought: Callable[[], None]) -> int:
        """Begin a set; its number. Raises SetUnderWay, DiaryUnusable."""
        with self._writing:
            if self._open is not None:
                raise SetUnderWay(f"set {self._open.id} of {self._open.exercise!r} is under way; end it first")
            set_id = self._diary.begin(exercise, bundle, time.time(), size)
            count_from_nought()
            with self._lock:
                now = since_boot()
                self._open = OpenSet(set_id, exercise, bundle, size, began_at=now, seen_at=now)
            return set_id

    def end(self) -> int:
        """End the set under way with the last frame that shows somebody; its number.

        Raises NoSetUnderWay, DiaryUnusable.
        """
        with self._writing:
            if self._open is None:
                raise NoSetUnderWay("no set is under way; begin one first")
            return self._end(self._open)

    def require_ended(self, set_id: int) -> None:
        """Raise SetUnderWay if this set is still under way."""
        if self._open is not None and self._open.id == set_id:
            raise SetUnderWay(f"set {set_id} is under way; end it first")

    def drop(self) -> None:
        """Forget the set under way and all that was not written: everything is being deleted."""
        with self._writing:
            with self._lock:
                self._open, self._ended_at = None, None
                self._sitting.take_away()
            self._ended.clear()
            self._diary.delete_all()

    def note(self, result: Result) -> None:
        """Take in a frame; called for each, so that it only notes."""
        with self._lock:
            if is_all_day(result.exercise):
                self._sitting.add(time.time(), result.state)
            opened = self._open
            # One that should have ended is over, even where that cannot be written yet.
            if opened is not None and opened.exercise == result.exercise.name and opened.forgotten() is None:
                opened.note(result.frame.timestamp_seconds, result.pose.keypoints_K3, result.state, result.pose.seen)

    def run(self, stop: threading.Event) -> None:
        """Write every few seconds until told to stop; end a set that nobody ends, and forget what is old."""
        forgot_at, wait_seconds = -FORGET_SECONDS, WRITE_SECONDS
        while not stop.wait(wait_seconds):
            forgets = time.monotonic() - forgot_at >= FORGET_SECONDS
            written = self._try_to_write(forgets)
            wait_seconds = WRITE_SECONDS if written else min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
            if written and forgets:
                forgot_at = time.monotonic()
        self._try_to_write()

    def close(self) -> None:
        """The service ends: so does the set under way."""
        if self._open is not None:
            try:
                self.end()
            except DiaryUnusable as error:
                warn(str(error))
        self._diary.database.close()

    def _try_to_write(self, forgets: bool = False) -> bool:
        """A diary that cannot be written is no reason to stop coaching: it is told once, and tried again."""
        refusal: DiaryUnusable | None = None
        steps = (self._write_set, self._write_sitting, self._end_if_forgotten, self._date_anew, self._forget)
        for step in steps if forgets else steps[:-1]:
            try:
                with self._writing:
                    step()
            except DiaryUnusable as error:
                refusal = refusal or error
        if refusal is not None and not self._refused:
            warn(str(refusal))
        self._refused = refusal is not None
        return refusal is None

    def _date_anew(self) -> None:
        """Once the clock has been set, sets that ended before are as old as they are."""
        now_booted_at = booted_at()
        if abs(now_booted_at - self._booted_at) < CLOCK_SET_SECONDS:
            return
        if self._ended:
            self._diary.date({set_id: now_booted_at + began_at for set_id, began_at in self._ended.items()})
        self._booted_at = now_booted_at

    def _forget(self) -> None:
        self._date_anew()  # the clock may have been set since, and what is forgotten comes back by no date
        under_way = None if self._open is None else self._open.id
        self._diary.forget(time.time(), *self._keep_days, under_way)

    def _end_if_forgotten(self) -> None:
        opened = self._open
        if opened is not None and (why := opened.forgotten()):
            self._end(opened)
            warn(f"set {opened.id} of {opened.exercise!r} was ended: {why}")

    def _end(self, opened: OpenSet) -> int:
        self._write_set()
        with self._lock:
            self._open, self._ended_at = None, time.monotonic()
        self._ended[opened.id] = opened.began_at
        self._write(opened)
        self._diary.finish(opened.id)
        return opened.id

    def _write_set(self) -> None:
        if self._open is not None:
            self._write(self._open)

    def _write(self, opened: OpenSet) -> None:
        with self._lock:
            count = len(opened.seconds) - opened.unseen
            attempts, counts = list(opened.attempts), opened.counts
            seconds, keypoints = opened.seconds[:count], opened.keypoints[:count]
            del opened.seconds[:count], opened.keypoints[:count]
        if count:
            opened.packed.append(pack(seconds, keypoints))
            _drop_oldest(opened)
        for chunk in tuple(opened.packed) or (None,):
            self._diary.add(opened.id, chunk, attempts, counts, opened.start)
            if chunk is not None:
                opened.packed.popleft()
            with self._lock:
                del opened.attempts[: len(attempts)]
            attempts = []

    def _write_sitting(self) -> None:
        with self._lock:
            minutes = self._sitting.take_away()
        if not minutes:
            return
        try:
            self._diary.add_sitting(minutes)
        except DiaryUnusable:
            with self._lock:
                self._sitting.put_back(minutes)
            raise


def _drop_oldest(opened: OpenSet) -> None:
    while sum(map(len, opened.packed)) > BACKLOG_BYTES:
        opened.packed.popleft()
        if not opened.dropped:
            warn(f"set {opened.id} of {opened.exercise!r}: its oldest keypoints are dropped, as none can be written")
        opened.dropped = True
