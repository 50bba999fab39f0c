"""The line that tells, about once a second, how it goes; and once, if frames come too seldom for the coach."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final, TextIO

import numpy as np

from plumbline_contract.exercise import Exercise
from plumbline_edge.logs import event, warn
from plumbline_edge.session import LEAST_FPS, Session

INTERVAL_SECONDS: Final = 1.0
JOURNAL_INTERVAL_SECONDS: Final = 60.0
"""Under systemd each line is kept, and the numbers are in /metrics anyway."""


class StatusLine:
    """Rewrites one line of a terminal; elsewhere writes a line each time."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._in_place = out.isatty()
        self._interval_seconds = JOURNAL_INTERVAL_SECONDS if "NOTIFY_SOCKET" in os.environ else INTERVAL_SECONDS
        self._next_at = time.monotonic() + INTERVAL_SECONDS
        self._told_of_slowness = False

    def show(self, session: Session, source_up: bool = True) -> None:
        """Write the line if it is time. `source_up`: pictures come; if none does, nobody is seen."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._warn_of_slowness(session, now)
        self._next_at = now + self._interval_seconds
        line = status_text(session, now, source_up)
        if not self._in_place:
            event(line, **status_fields(session, now, source_up))
            return
        print(f"\r{line}\x1b[K", end="", file=self._out, flush=True)

    def end(self) -> None:
        """Leave the terminal on a fresh line."""
        if self._in_place:
            print(file=self._out, flush=True)

    def _warn_of_slowness(self, session: Session, now: float) -> None:
        if self._told_of_slowness or not session.is_too_slow(now):
            return
        self._told_of_slowness = True
        self.end()
        remedy = "use a smaller bundle, more light, a faster camera or a higher --max-fps"
        _warn_of_rate(session.meter.fps(now), remedy)


def warn_of_recording(times_seconds: Sequence[float], exercise: Exercise) -> None:
    """Warn of a recording whose pictures, at these times, come too seldom for repetitions; what is held takes fewer."""
    if exercise.repetition is None or len(times_seconds) < 2:
        return
    interval_seconds = float(np.median(np.diff(times_seconds)))
    if interval_seconds > 1 / LEAST_FPS:
        _warn_of_rate(1 / interval_seconds, "record with a faster camera or more light")


def _warn_of_rate(fps: float, remedy: str) -> None:
    warn(
        f"{fps:.1f} frames a second are too few to count and judge repetitions by: it takes {LEAST_FPS:g}, better 8;"
        f" {remedy}"
    )


def status_fields(session: Session, now: float, source_up: bool) -> dict[str, object]:
    """The same as numbers, for a log store."""
    return {
        "fps": round(session.meter.fps(now), 2),
        "p95_latency_ms": round(1000 * session.meter.p95_latency_seconds(), 2),
        "exercise": session.exercise,
        "reps": session.state.reps,
        "person_visible": session.person_seen and source_up,
    }


def status_text(session: Session, now: float, source_up: bool) -> str:
    """FPS, p95 latency, repetitions and cue, in one line."""
    cue = session.state.cue or ("" if session.person_seen else "no person in the picture")
    said = cue if source_up else "no picture"
    slow = f" (too few: {LEAST_FPS:g} needed)" if session.is_too_slow(now) else ""
    return (
        f"live    {session.meter.fps(now):5.1f} FPS{slow}   p95 {1000 * session.meter.p95_latency_seconds():6.1f} ms"
        f"   {session.exercise} reps {session.state.reps}   {said}"
    ).rstrip()
