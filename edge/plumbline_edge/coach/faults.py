"""Which faults a person makes now: judged where the exercise says so, and never on a joint that is not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from plumbline_contract.exercise import SEVERITIES, Condition, Fault, View
from plumbline_contract.measure import AttemptMeasure, MovementProgress
from plumbline_edge.coach.measures import Reading, read
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.repetitions import Attempt, Phase
from plumbline_edge.coach.windows import RunningPercentile, TrimmedWindow

WINDOW_SECONDS: Final[float] = 0.6
EVIDENCE_SECONDS: Final[float] = 0.12
"""A fault is judged on at least this much time and three readings, so that no single frame accuses anybody."""
EVIDENCE_READINGS: Final[int] = 3
SHOWN_SECONDS: Final[float] = 1.5
"""A fault stays shown for this long after it was last seen, so that a person moving can take it in."""
NEUTRAL_SECONDS: Final[float] = 20.0
"""What is neutral for this person is the median of this much rest."""


class Moment(NamedTuple):
    """What a frame is judged by."""

    time_seconds: float
    pose: Pose
    torso_px: float | None
    view: View | None
    phase: Phase
    at_rest: bool
    """Whether this frame shows what is neutral for this person."""


def breaks(condition: Condition, value: float, already: bool) -> bool:
    """Whether a value meets the condition; once it does, it must come back by the hysteresis to stop."""
    slack = condition.hysteresis if already else 0.0
    if condition.comparison == "above":
        return value > condition.threshold - slack
    return value < condition.threshold + slack


class FaultWatch:
    """Follows one fault of one person."""

    def __init__(self, fault: Fault, by_occasion: bool = False) -> None:
        """`by_occasion`: nothing is repeated, so that each time it comes back counts."""
        self.fault = fault
        self._by_occasion = by_occasion or fault.judged == "throughout"
        self.present = False
        """The condition holds now."""
        self.in_order = False
        """It could be judged now, and does not hold: what is out of sight is neither."""
        self.times_found = 0
        """Attempts (or for faults judged throughout, occasions) in which it was found."""
        self._window = TrimmedWindow(WINDOW_SECONDS, frames=EVIDENCE_READINGS)
        self._neutral = RunningPercentile(50.0, NEUTRAL_SECONDS, min_samples=3)
        self._broken_since: float | None = None
        self._found_in_attempt = False
        self._last_present_seconds: float | None = None
        self._shown_since: float | None = None

    @property
    def neutral(self) -> float | None:
        """What the condition's value is compared with: 0, or this person's own value at rest once it is known."""
        return self._neutral.value() if self.fault.condition.relative else 0.0

    def from_neutral(self, value: float, neutral: float) -> float:
        """What the condition compares: the value's difference from neutral."""
        return abs(value - neutral) if self.fault.condition.either_way else value - neutral

    def update(self, moment: Moment) -> None:
        """Judge one frame, unless this fault waits for the end of an attempt or shows in other views only."""
        measure = self.fault.condition.measure
        if isinstance(measure, AttemptMeasure) or moment.view not in self.fault.views:
            self._out_of_place()
            return
        learns = self.fault.condition.relative and moment.at_rest
        if not learns and not self._in_place(moment.phase):
            self._out_of_place()
            return
        reading = read(measure, moment.pose, moment.torso_px)
        if reading is not None and learns:
            self._neutral.push(moment.time_seconds, reading.value)
        if self._in_place(moment.phase):
            self._judge(moment.time_seconds, reading)
        else:
            self._out_of_place()

    def attempt_ended(self, time_seconds: float, attempt: Attempt, view: View | None) -> bool:
        """Close an attempt, judging it if this fault is judged after it; whether the fault was found in it."""
        measure = self.fault.condition.measure
        if isinstance(measure, AttemptMeasure) and (view is None or view in self.fault.views):
            value = _of_attempt(measure, attempt)
            if value is not None and breaks(self.fault.condition, value, already=False):
                self._found(time_seconds)
        found, self._found_in_attempt = self._found_in_attempt, False
        return found

    def abandon_attempt(self) -> None:
        """The attempt under way was none: the next begins without what was found in it."""
        self._found_in_attempt = False

    def is_shown(self, time_seconds: float) -> bool:
        """Present, or present a moment ago."""
        last = self._last_present_seconds
        return last is not None and time_seconds - last <= SHOWN_SECONDS

    def is_spoken_of(self, time_seconds: float) -> bool:
        """Shown, and for long enough to be worth a word."""
        since = self._shown_since
        return (
            self.is_shown(time_seconds)
            and since is not None
            and time_seconds - since >= self.fault.spoken_after_seconds
        )

    def reset(self) -> None:
        """Forget what is under way; what was counted stays."""
        self._out_of_place()
        self._neutral.clear()
        self._found_in_attempt = False
        self._last_present_seconds = self._shown_since = None

    def _in_place(self, phase: Phase) -> bool:
        judged = self.fault.judged
        return (
            judged == "throughout"
            or (judged == "at_full" and phase == "full")
            or (judged == "moving" and phase != "rest")
        )

    def _out_of_place(self) -> None:
        self._window.clear()
        self._broken_since = None
        self.present = self.in_order = False

    def _judge(self, time_seconds: float, reading: Reading | None) -> None:
        value = self._window.push(time_seconds, reading.value if reading else None)
        neutral = self.neutral
        enough = len(self._window) >= EVIDENCE_READINGS and self._window.span_seconds() >= EVIDENCE_SECONDS
        was_present = self.present
        broken = None
        if value is not None and neutral is not None and enough:
            broken = breaks(self.fault.condition, self.from_neutral(value, neutral), was_present)
        self.in_order = broken is False
        if not broken:
            self._broken_since = None
        elif self._broken_since is None:
            self._broken_since = time_seconds
        self.present = (
            self._broken_since is not None and time_seconds - self._broken_since >= self.fault.persists_seconds
        )
        if self.present:
            self._found(time_seconds)

    def _found(self, time_seconds: float) -> None:
        begins = not self.is_shown(time_seconds)
        if begins:
            self._shown_since = time_seconds
        if not self._found_in_attempt or (begins and self._by_occasion):
            self.times_found += 1
        self._found_in_attempt = True
        self._last_present_seconds = time_seconds


def _of_attempt(measure: AttemptMeasure, attempt: Attempt) -> float | None:
    """What is judged of an attempt; the tempo only of one that counted, for others are judged by how far they went."""
    if isinstance(measure, MovementProgress):
        return attempt.peak_progress
    if not attempt.counted:
        return None
    return {"out": attempt.out_seconds, "back": attempt.back_seconds, "whole": attempt.seconds}[measure.part]


class FaultJudge:
    """Follows all faults of an exercise."""

    def __init__(self, faults: Sequence[Fault], by_occasion: bool = False) -> None:
        """`by_occasion`: of a hold, in which a fault may come and go."""
        self.watches = [FaultWatch(fault, by_occasion) for fault in faults]

    def update(self, moment: Moment) -> None:
        """Judge one frame."""
        for watch in self.watches:
            watch.update(moment)

    def attempt_ended(self, time_seconds: float, attempt: Attempt, view: View | None) -> tuple[Fault, ...]:
        """Close an attempt; the faults that were found in it."""
        ended = [(watch.fault, watch.attempt_ended(time_seconds, attempt, view)) for watch in self.watches]
        return tuple(fault for fault, found in ended if found)

    def abandon_attempt(self) -> None:
        """The attempt under way was none."""
        for watch in self.watches:
            watch.abandon_attempt()

    def shown(self, time_seconds: float) -> tuple[Fault, ...]:
        """The faults to show in this frame, the most severe first."""
        shown = (watch.fault for watch in self.watches if watch.is_shown(time_seconds))
        return tuple(sorted(shown, key=lambda fault: -SEVERITIES.index(fault.severity)))

    def spoken_of(self, time_seconds: float) -> tuple[Fault, ...]:
        """Those of the faults shown in this frame that have lasted long enough to be spoken of."""
        spoken_of = {watch.fault.name for watch in self.watches if watch.is_spoken_of(time_seconds)}
        return tuple(fault for fault in self.shown(time_seconds) if fault.name in spoken_of)

    def in_order(self) -> frozenset[str]:
        """The names of the faults that could be judged in this frame and are not there."""
        return frozenset(watch.fault.name for watch in self.watches if watch.in_order)

    def times_found(self) -> dict[str, int]:
        """How many attempts showed each fault, by the fault's name."""
        return {watch.fault.name: watch.times_found for watch in self.watches}

    def reset(self) -> None:
        """Forget what is under way; the counts stay."""
        for watch in self.watches:
            watch.reset()
