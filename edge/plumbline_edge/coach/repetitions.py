"""Counts repetitions of a movement from its progress, with hysteresis at every threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from plumbline_contract.exercise import Repetition

Phase = Literal["rest", "out", "full", "back"]


@dataclass(frozen=True)
class Attempt:
    """A movement away from rest and back: a repetition when `counted`, otherwise a partial one."""

    peak_progress: float
    seconds: float
    counted: bool


class RepetitionCounter:
    """A state machine rest -> out -> full -> back -> rest on the progress of one movement."""

    def __init__(self, rules: Repetition) -> None:
        self._rules = rules
        self.phase: Phase = "rest"
        self.repetitions = 0
        self.partial_repetitions = 0
        self.peak_progress = 0.0
        self._began_seconds = 0.0
        self._extreme = 0.0
        self._abandoned = False

    def update(self, time_seconds: float, progress: float) -> Attempt | None:
        """Take the progress of one frame; the attempt that ended with it, if one did."""
        if self.phase == "rest":
            if progress > self._rules.begins_above:
                self._begin(time_seconds, progress)
            return None
        if progress < self._rules.ends_below:
            return self._end(time_seconds)
        if time_seconds - self._began_seconds > self._rules.max_seconds:
            self._abandoned = True
        self.peak_progress = max(self.peak_progress, progress)
        self.phase = self._moving_phase(progress)
        return None

    def abandon(self) -> None:
        """Forget the attempt under way: the person was out of sight."""
        self.phase = "rest"
        self.peak_progress = 0.0

    def _begin(self, time_seconds: float, progress: float) -> None:
        self.phase = "out"
        self.peak_progress = self._extreme = progress
        self._began_seconds = time_seconds
        self._abandoned = False

    def _end(self, time_seconds: float) -> Attempt | None:
        seconds = time_seconds - self._began_seconds
        attempt = Attempt(self.peak_progress, seconds, self.peak_progress >= self._rules.counts_from)
        self.abandon()
        if self._abandoned or seconds < self._rules.min_seconds:
            return None
        if attempt.counted:
            self.repetitions += 1
        else:
            self.partial_repetitions += 1
        return attempt

    def _moving_phase(self, progress: float) -> Phase:
        """Full beyond its threshold; otherwise out and back turn where progress falls or rises by the hysteresis."""
        full_above = self._rules.counts_from - (self._rules.hysteresis if self.phase == "full" else 0.0)
        if progress >= full_above:
            return "full"
        if self.phase == "full":
            self._extreme = progress
            return "back"
        beyond = max if self.phase == "out" else min
        self._extreme = beyond(self._extreme, progress)
        if abs(progress - self._extreme) <= self._rules.hysteresis:
            return self.phase
        self._extreme = progress
        return "back" if self.phase == "out" else "out"
