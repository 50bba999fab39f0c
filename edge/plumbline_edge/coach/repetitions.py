"""Counts repetitions of a movement from its progress, with hysteresis at every threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from plumbline_contract.exercise import Repetition
from plumbline_edge.coach.windows import RunningPercentile

REST_SECONDS: Final[float] = 10.0
NOISE_DEVIATIONS: Final[float] = 4.0
"""An attempt begins this many standard deviations above rest (between the 5th and 25th percentile lies about one)."""
REST_BEFORE_SECONDS: Final[float] = 0.25
"""Somebody who comes into sight must be seen at rest for this long before an attempt can begin."""
MOST_OF_COUNTED: Final[float] = 0.7
"""However great the noise, and while it is not known yet, an attempt begins at this share of a counted one."""

CAME_BACK_SHARE: Final[float] = 0.4
"""Share of its peak below which an attempt that turns again has been one, though it did not reach rest."""

LEAST_PARTIAL_SHARE: Final[float] = 0.42
"""An attempt that went less than this share of a counted one was none: a shift of weight, or noise."""
STILL_SECONDS: Final[float] = 0.5
"""A counted attempt that came back most of the way is over once it has stood still for this long."""

Phase = Literal["rest", "out", "full", "back"]


@dataclass(frozen=True)
class Attempt:
    """A movement away from rest and back: a repetition when `counted`, otherwise a partial one."""

    peak_progress: float
    seconds: float
    counted: bool
    out_seconds: float = 0.0
    """Until it went furthest."""

    @property
    def back_seconds(self) -> float:
        """From where it went furthest to its end."""
        return self.seconds - self.out_seconds


class DeadZone:
    """How much movement is none: learnt from how much the progress of a person at rest jitters.

    With steady keypoints a slight bend begins an attempt; with a jittering model it takes a deeper one. Level and
    spread come from the lower quarter of the progress at rest, which the beginnings of movements do not reach.
    """

    def __init__(self, rules: Repetition) -> None:
        self._rules = rules
        self._progress = RunningPercentile(25.0, REST_SECONDS, min_samples=10)

    def push(self, time_seconds: float, progress: float) -> None:
        """Take the progress of a frame at rest."""
        self._progress.push(time_seconds, progress)

    def begins_above(self) -> float:
        """The progress above which an attempt begins: rest plus what the exercise asks, more where there is noise."""
        most = max(MOST_OF_COUNTED * self._rules.counts_from, self._rules.begins_above)
        low, lowest = self._progress.at(0.25), self._progress.at(0.05)
        if low is None or lowest is None:
            return most
        deviation = low - lowest
        rest = low + 0.67 * deviation
        return min(most, max(rest, 0.0) + max(self._rules.begins_above, NOISE_DEVIATIONS * deviation))

    def ends_below(self) -> float:
        """The progress below which an attempt is over, raised by as much as where it begins."""
        return self._rules.ends_below + self.begins_above() - self._rules.begins_above


class RepetitionCounter:
    """A state machine rest -> out -> full -> back -> rest on the progress of one movement."""

    def __init__(self, rules: Repetition) -> None:
        self._rules = rules
        self._rest = DeadZone(rules)
        self.phase: Phase = "rest"
        self.repetitions = 0
        self.partial_repetitions = 0
        self.peak_progress = 0.0
        self._began_seconds = 0.0
        self._peak_seconds = 0.0
        self._still_since = 0.0
        self._still_at = 0.0
        self._stood_at = 0.0
        """Where the last attempt ended short of rest; the next begins from there."""
        self._extreme = 0.0
        self._lowest = (math.inf, 0.0)
        self._abandoned = False
        self._at_rest_since: float | None = None
        self._has_rested = False

    def update(self, time_seconds: float, progress: float) -> Attempt | None:
        """Take the progress of one frame; the attempt that ended with it, if one did."""
        if self.phase == "rest":
            self._wait(time_seconds, progress)
            return None
        if progress < self._rest.ends_below():
            return self._end(time_seconds)
        if time_seconds - self._began_seconds > self._rules.max_seconds:
            self._give_up(progress)
            return None
        before, lowest = self.phase, self._extreme
        self.phase = self._moving_phase(progress)
        if before == "back" and self.phase != "back" and self._came_back(lowest):
            attempt = self._end(time_seconds)
            self._begin(time_seconds, progress)
            return attempt
        if progress > self.peak_progress:
            self.peak_progress, self._peak_seconds = progress, time_seconds
        if not self._stands_still(time_seconds, progress):
            return None
        self._stood_at = progress
        return self._end(time_seconds)

    def _stands_still(self, time_seconds: float, progress: float) -> bool:
        """Whether a counted attempt came most of the way back and stays there: rest is not what it was."""
        if abs(progress - self._still_at) > self._rules.hysteresis / 2:
            self._still_at, self._still_since = progress, time_seconds
        return self._came_back(progress) and time_seconds - self._still_since >= STILL_SECONDS

    def _came_back(self, lowest: float) -> bool:
        """Whether a counted attempt fell back so far before it rose again that this is the next one.

        Rest is not always reached: it was learnt wrongly, the camera moved, or the person does not stand up straight.
        """
        return self.peak_progress >= self._rules.counts_from and lowest <= CAME_BACK_SHARE * self.peak_progress

    def abandon(self) -> None:
        """Forget the attempt under way; the person must be seen at rest before another begins."""
        self.phase = "rest"
        self.peak_progress = self._stood_at = 0.0
        self._lowest = (math.inf, 0.0)
        self._at_rest_since = None
        self._has_rested = False

    def _wait(self, time_seconds: float, progress: float) -> None:
        """At rest, until an attempt begins. Whoever is first seen half-way down has not begun one."""
        if progress < self._lowest[0]:
            self._lowest = (progress, time_seconds)
        if progress <= self._rest.begins_above():
            self._stood_at = 0.0 if progress < self._rest.ends_below() else self._stood_at
            self._rest.push(time_seconds, progress)
            self._at_rest_since = time_seconds if self._at_rest_since is None else self._at_rest_since
            self._has_rested |= time_seconds - self._at_rest_since >= REST_BEFORE_SECONDS
        elif not self._has_rested:
            self._at_rest_since = None
            self._begin_late(time_seconds, progress)
        elif not self._stood_at or progress > self._stood_at + self._rules.begins_above + self._rules.hysteresis / 2:
            self._begin(time_seconds, progress)

    def _begin_late(self, time_seconds: float, progress: float) -> None:
        """Somebody who never stood still at rest, but has gone as far as counts, has begun where they were lowest."""
        lowest, lowest_seconds = self._lowest
        if progress - lowest >= self._rules.counts_from:
            self._has_rested = True
            self._begin(time_seconds, progress)
            self._began_seconds = lowest_seconds

    def _give_up(self, progress: float) -> None:
        """An attempt took too long. Once the person is not in the full position any more, learn anew what rest is."""
        self._abandoned = True
        if progress < self._rules.counts_from:
            self.abandon()
            self._rest = DeadZone(self._rules)

    def _begin(self, time_seconds: float, progress: float) -> None:
        self.phase = "out"
        self.peak_progress = self._extreme = progress
        self._began_seconds = self._peak_seconds = self._still_since = time_seconds
        self._still_at = progress
        self._abandoned = False

    def _end(self, time_seconds: float) -> Attempt | None:
        seconds = time_seconds - self._began_seconds
        counted = self.peak_progress >= self._rules.counts_from
        attempt = Attempt(self.peak_progress, seconds, counted, self._peak_seconds - self._began_seconds)
        self.phase = "rest"
        self.peak_progress = 0.0
        least_seconds = self._rules.min_seconds if attempt.counted else self._rules.min_partial_seconds
        worth_telling = counted or attempt.peak_progress >= LEAST_PARTIAL_SHARE * self._rules.counts_from
        if self._abandoned or seconds < least_seconds or not worth_telling:
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
