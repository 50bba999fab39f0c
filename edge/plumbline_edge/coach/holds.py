"""A position that is held: whether the person is in it, for how long, and when a break is due."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from plumbline_contract.exercise import Hold, Range, View
from plumbline_edge.coach.measures import read
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.windows import TrimmedWindow

WINDOW_SECONDS: Final[float] = 0.5

HoldPhase = Literal["off", "calibrating", "on"]


class PositionWatch:
    """Whether a person is in the position in which an exercise is done."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._watches = [(asked, TrimmedWindow(WINDOW_SECONDS)) for asked in ranges]

    def update(self, time_seconds: float, pose: Pose, torso_px: float | None, view: View | None) -> bool | None:
        """True or False by what is seen; None when nothing that is asked can be seen in this view."""
        known = False
        for asked, window in self._watches:
            reading = read(asked.measure, pose, torso_px)
            value = window.push(time_seconds, reading.value if reading else None)
            if value is None or (view is not None and view not in asked.views):
                continue
            known = True
            if not _within(asked, value):
                return False
        return True if known or not self._watches else None

    def clear(self) -> None:
        """Forget everything."""
        for _, window in self._watches:
            window.clear()


class HoldTracker:
    """Seconds in position, with patience for a moment out of it or unseen."""

    def __init__(self, rules: Hold) -> None:
        self._rules = rules
        self.held_seconds = 0.0
        self.best_seconds = 0.0
        self.phase: HoldPhase = "off"
        self._since: float | None = None
        self._last_in = -math.inf
        self._told_of_target = False

    def update(self, time_seconds: float, in_position: bool | None) -> None:
        """Take one frame."""
        if in_position:
            self._since = time_seconds if self._since is None else self._since
            self._last_in = time_seconds
        elif self._since is not None and time_seconds - self._last_in > self._rules.ends_after_seconds:
            self._since = None
        if self._since is None:
            self.phase, self.held_seconds, self._told_of_target = "off", 0.0, False
            return
        seconds = self._last_in - self._since
        self.phase = self._phase(seconds)
        if self.phase != "off":
            self.held_seconds = seconds
            self.best_seconds = max(self.best_seconds, seconds)

    def break_is_due(self) -> bool:
        """Whether so long has been held that a break is due; it stays so until the hold ends."""
        after = self._rules.break_after_seconds
        return after is not None and self.held_seconds >= after

    def target_is_reached(self) -> bool:
        """Whether the hold has just become as long as a good one; once a hold."""
        target = self._rules.target_seconds
        if target is None or self._told_of_target or self.held_seconds < target:
            return False
        self._told_of_target = True
        return True

    def abandon(self) -> None:
        """Forget the hold under way."""
        self._since = None
        self._told_of_target = False
        self._last_in = -math.inf
        self.held_seconds = 0.0
        self.phase = "off"

    def _phase(self, seconds: float) -> HoldPhase:
        if seconds < self._rules.begins_after_seconds:
            return "off"
        learnt_by = self._rules.begins_after_seconds + self._rules.calibration_seconds
        return "calibrating" if seconds < learnt_by else "on"


def _within(asked: Range, value: float) -> bool:
    return (asked.at_least is None or value >= asked.at_least) and (asked.at_most is None or value <= asked.at_most)
