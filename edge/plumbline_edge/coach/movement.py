"""What the person does: a movement that is repeated, or a position that is held; seen alike by the coach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol

from plumbline_contract.exercise import Exercise, Hold, View
from plumbline_edge.coach.holds import HoldTracker
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.progress import ProgressTracker
from plumbline_edge.coach.repetitions import Attempt, Phase, RepetitionCounter
from plumbline_edge.coach.state import LOOKING

LOST_SECONDS: Final[float] = 1.5
"""Unseen for this long, an attempt under way is forgotten, and the person's rest is learnt anew."""


@dataclass(frozen=True)
class Step:
    """What one frame brought."""

    phase: Phase
    phase_name: str
    at_rest: bool
    """Whether the frame shows what is neutral for this person."""
    repetitions: int = 0
    partial_repetitions: int = 0
    progress: float | None = None
    attempt: Attempt | None = None
    hold_seconds: float = 0.0
    best_hold_seconds: float = 0.0
    remind: str | None = None
    """What to say of a break that is due, in every frame until the hold ends."""
    target_reached: bool = False
    """The hold has just become as long as a good one."""


class Movement(Protocol):
    """Follows what the person does."""

    deepest: Pose | None

    def update(
        self, now: float, pose: Pose, torso_px: float | None, view: View | None, in_position: bool | None
    ) -> Step:
        """Take one frame."""

    def phase_name(self, now: float) -> str:
        """The exercise's own name of the phase."""

    def abandon(self) -> None:
        """Forget what is under way."""


class Repeated:
    """A movement away from rest and back, counted."""

    def __init__(self, exercise: Exercise, progress: ProgressTracker) -> None:
        assert exercise.repetition is not None
        self._names = exercise.repetition.phases
        self._progress = progress
        self._counter = RepetitionCounter(exercise.repetition)
        self._seen_seconds = -math.inf
        self.deepest: Pose | None = None
        """The pose in which the attempt under way, or the last one, went furthest."""

    def update(
        self, now: float, pose: Pose, torso_px: float | None, view: View | None, in_position: bool | None
    ) -> Step:
        """Take one frame; out of position, nothing of the movement is seen."""
        progress = self._progress.update(now, pose, torso_px, view)
        if in_position is False:
            progress = None
        attempt = self._count(now, pose, progress)
        return Step(
            phase=self._counter.phase,
            phase_name=self.phase_name(now),
            at_rest=progress is not None and self._counter.phase == "rest",
            repetitions=self._counter.repetitions,
            partial_repetitions=self._counter.partial_repetitions,
            progress=progress,
            attempt=attempt,
        )

    def _count(self, now: float, pose: Pose, progress: float | None) -> Attempt | None:
        if progress is None:
            if now - self._seen_seconds > LOST_SECONDS and math.isfinite(self._seen_seconds):
                self._counter.abandon()
                self._progress.clear()
                self._seen_seconds = -math.inf
            return None
        self._seen_seconds = now
        peak_before = self._counter.peak_progress
        attempt = self._counter.update(now, progress)
        if self._counter.peak_progress > peak_before:
            self.deepest = pose
        return attempt

    def phase_name(self, now: float) -> str:
        """The exercise's own name of the phase, or 'looking'."""
        if now - self._seen_seconds > LOST_SECONDS:
            return LOOKING
        names = self._names
        return {"rest": names.rest, "out": names.out, "full": names.full, "back": names.back}[self._counter.phase]

    def abandon(self) -> None:
        """Forget the attempt under way."""
        self._counter.abandon()
        self.deepest = None
        self._seen_seconds = -math.inf


class Held:
    """A position that is held for a time."""

    def __init__(self, rules: Hold) -> None:
        self._rules = rules
        self._tracker = HoldTracker(rules)
        self._seen_seconds = -math.inf
        self.deepest: Pose | None = None

    def update(
        self, now: float, pose: Pose, torso_px: float | None, view: View | None, in_position: bool | None
    ) -> Step:
        """Take one frame. Faults are judged once the position is held and the person is calibrated."""
        if in_position is not None:
            self._seen_seconds = now
        self._tracker.update(now, in_position)
        phase = self._tracker.phase
        return Step(
            phase="full" if phase == "on" else "rest",
            phase_name=self.phase_name(now),
            at_rest=phase == "calibrating",
            hold_seconds=self._tracker.held_seconds,
            best_hold_seconds=self._tracker.best_seconds,
            # Not who is just getting up, or has gone out of sight.
            remind=self._rules.break_cue if in_position and self._tracker.break_is_due() else None,
            target_reached=self._tracker.target_is_reached(),
        )

    def phase_name(self, now: float) -> str:
        """The exercise's own name of the phase, 'calibrating' or 'looking'."""
        if now - self._seen_seconds > LOST_SECONDS:
            return LOOKING
        if self._tracker.phase == "calibrating":
            return "calibrating"
        return self._rules.phases.held if self._tracker.phase == "on" else self._rules.phases.away

    def abandon(self) -> None:
        """Forget the hold under way."""
        self._tracker.abandon()
        self._seen_seconds = -math.inf
