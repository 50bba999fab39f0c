"""Which faults a person makes now: judged where the exercise says so, and never on a joint that is not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from plumbline_contract.exercise import SEVERITIES, Condition, Fault, MovementProgress, View
from plumbline_edge.coach.measures import read
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.repetitions import Attempt, Phase
from plumbline_edge.coach.windows import TrimmedWindow

WINDOW_SECONDS: Final[float] = 0.6
EVIDENCE_SECONDS: Final[float] = 0.12
"""A fault is judged on at least this much time and three readings, so that no single frame accuses anybody."""
EVIDENCE_READINGS: Final[int] = 3
SHOWN_SECONDS: Final[float] = 1.5
"""A fault stays shown for this long after it was last seen, so that a person moving can take it in."""


def breaks(condition: Condition, value: float, already: bool) -> bool:
    """Whether a value meets the condition; once it does, it must come back by the hysteresis to stop."""
    slack = condition.hysteresis if already else 0.0
    if condition.comparison == "above":
        return value > condition.threshold - slack
    return value < condition.threshold + slack


class FaultWatch:
    """Follows one fault of one person."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.present = False
        """The condition holds now."""
        self.times_found = 0
        """Attempts (or for faults judged throughout, occasions) in which it was found."""
        self._window = TrimmedWindow(WINDOW_SECONDS)
        self._found_in_attempt = False
        self._last_present_seconds: float | None = None

    def update(self, time_seconds: float, pose: Pose, torso_px: float | None, view: View | None, phase: Phase) -> None:
        """Judge one frame, unless this fault waits for the end of an attempt or shows in other views only."""
        fault = self.fault
        in_place = fault.judged == "throughout" or (fault.judged == "at_full" and phase == "full")
        if not in_place or view not in fault.views or isinstance(fault.condition.measure, MovementProgress):
            self._window.clear()
            self.present = False
            return
        reading = read(fault.condition.measure, pose, torso_px)
        value = self._window.push(time_seconds, reading.value if reading else None)
        enough = len(self._window) >= EVIDENCE_READINGS and self._window.span_seconds() >= EVIDENCE_SECONDS
        was_present = self.present
        self.present = value is not None and enough and breaks(fault.condition, value, was_present)
        if self.present:
            self._found(time_seconds, again=not was_present and fault.judged == "throughout")

    def attempt_ended(self, time_seconds: float, attempt: Attempt, view: View | None) -> bool:
        """Close an attempt, judging it if this fault is judged after it; whether the fault was found in it."""
        judgeable = self.fault.judged == "after" and (view is None or view in self.fault.views)
        if judgeable and breaks(self.fault.condition, attempt.peak_progress, already=False):
            self._found(time_seconds)
        found, self._found_in_attempt = self._found_in_attempt, False
        return found

    def is_shown(self, time_seconds: float) -> bool:
        """Present, or present a moment ago."""
        last = self._last_present_seconds
        return last is not None and time_seconds - last <= SHOWN_SECONDS

    def reset(self) -> None:
        """Forget what is under way; what was counted stays."""
        self._window.clear()
        self.present = self._found_in_attempt = False
        self._last_present_seconds = None

    def _found(self, time_seconds: float, again: bool = False) -> None:
        if again or not self._found_in_attempt:
            self.times_found += 1
        self._found_in_attempt = True
        self._last_present_seconds = time_seconds


class FaultJudge:
    """Follows all faults of an exercise."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._watches = [FaultWatch(fault) for fault in faults]

    def update(self, time_seconds: float, pose: Pose, torso_px: float | None, view: View | None, phase: Phase) -> None:
        """Judge one frame."""
        for watch in self._watches:
            watch.update(time_seconds, pose, torso_px, view, phase)

    def attempt_ended(self, time_seconds: float, attempt: Attempt, view: View | None) -> tuple[Fault, ...]:
        """Close an attempt; the faults that were found in it."""
        ended = [(watch.fault, watch.attempt_ended(time_seconds, attempt, view)) for watch in self._watches]
        return tuple(fault for fault, found in ended if found)

    def shown(self, time_seconds: float) -> tuple[Fault, ...]:
        """The faults to show in this frame, the most severe first."""
        shown = (watch.fault for watch in self._watches if watch.is_shown(time_seconds))
        return tuple(sorted(shown, key=lambda fault: -SEVERITIES.index(fault.severity)))

    def times_found(self) -> dict[str, int]:
        """How many attempts showed each fault, by the fault's name."""
        return {watch.fault.name: watch.times_found for watch in self._watches}

    def reset(self) -> None:
        """Forget what is under way; the counts stay."""
        for watch in self._watches:
            watch.reset()
