"""The coach: keypoints with their times in, repetitions, faults, a cue and the correct pose out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract import exercise as definition
from plumbline_contract.exercise import Exercise, Severity, View
from plumbline_contract.sequence import SEEN_SCORE, TORSO_PERCENTILE
from plumbline_contract.skeleton import Keypoint, keypoint_named
from plumbline_edge.coach.cues import CuePolicy, CueTiming
from plumbline_edge.coach.faults import FaultJudge
from plumbline_edge.coach.ghost import Ghost, LegLengths, Points, corrected, planted
from plumbline_edge.coach.pose import Keypoints, Pose
from plumbline_edge.coach.progress import ProgressTracker
from plumbline_edge.coach.repetitions import Attempt, RepetitionCounter
from plumbline_edge.coach.view import ViewEstimator
from plumbline_edge.coach.windows import RunningPercentile

LOOKING: Final = "looking"
"""The phase while the movement can't be followed: nobody is seen, or the person is not calibrated yet."""
TORSO_SECONDS: Final[float] = 3.0
LOST_SECONDS: Final[float] = 1.5
"""Unseen for this long, an attempt under way is forgotten, and the person's rest is learnt anew."""
CUT_SECONDS: Final[float] = 5.0
"""After a jump of time by more than this, or backwards, it may be another person or picture: calibrate again."""


@dataclass(frozen=True)
class Fault:
    """A fault to show now."""

    name: str
    keypoints: tuple[Keypoint, ...]
    cue: str
    severity: Severity


@dataclass(frozen=True)
class CoachState:
    """What the coach knows after a frame."""

    phase: str = LOOKING
    """The exercise's own name of the phase ('standing', 'descending', ...) or 'looking'."""
    reps: int = 0
    partial_reps: int = 0
    """Attempts that did not go far enough to count."""
    faults: tuple[Fault, ...] = ()
    """Faults of now or a moment ago, the most severe first."""
    cue: str | None = None
    """A short text to show."""
    cue_is_new: bool = False
    """The cue begins with this frame: the time to say it aloud."""
    ghost_K3: npt.NDArray[np.float64] | None = None
    """The correct pose in image pixels, with the person's own scores; None when there is nothing to put right."""
    view: View | None = None
    progress: float | None = None
    """0 at rest, 1 at the full position."""
    fault_counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """How many attempts showed each fault."""


class Coach:
    """Follows one person through one exercise. No clock and no camera: time comes with the frames."""

    def __init__(
        self, exercise: Exercise, *, min_score: float = SEEN_SCORE, cue_timing: CueTiming | None = None
    ) -> None:
        """`min_score`: a keypoint scored lower counts as not seen."""
        self.exercise = exercise
        self.state = CoachState()
        self._min_score = min_score
        self._torso = RunningPercentile(TORSO_PERCENTILE, TORSO_SECONDS)
        self._view = ViewEstimator()
        self._progress = ProgressTracker(exercise.progress)
        self._counter = RepetitionCounter(exercise.repetition)
        self._judge = FaultJudge(exercise.faults)
        self._cues = CuePolicy(exercise.praise, cue_timing)
        self._lengths = LegLengths()
        self._ghost = Ghost()
        self._deepest: Pose | None = None
        self._seconds: float | None = None
        self._seen_seconds = -math.inf

    def update(self, timestamp_seconds: float, keypoints_K3: Keypoints) -> CoachState:
        """Take one frame: keypoints (17, 3) as x, y, score in image pixels; unseen ones may be NaN or scored 0.

        A frame with the time of the last one changes nothing. Raises ValueError for another shape or a time that is
        not finite.
        """
        if not math.isfinite(timestamp_seconds):
            raise ValueError(f"timestamp_seconds is {timestamp_seconds!r}; it must be a finite number of seconds")
        pose = Pose(keypoints_K3, self._min_score)
        if timestamp_seconds == self._seconds:
            return self.state
        if self._seconds is not None and not 0 < timestamp_seconds - self._seconds <= CUT_SECONDS:
            self._start_again()
        self._seconds = timestamp_seconds
        self.state = self._next_state(timestamp_seconds, pose)
        return self.state

    def _next_state(self, now: float, pose: Pose) -> CoachState:
        torso_px = self._torso_px(now, pose)
        view = self._view.update(now, pose, torso_px)
        if torso_px is not None:
            self._lengths.update(now, pose, torso_px)
        progress = self._progress.update(now, pose, torso_px, view)
        attempt = self._count(now, pose, progress)
        self._judge.update(now, pose, torso_px, view, self._counter.phase)
        ended_with = None if attempt is None else self._judge.attempt_ended(now, attempt, view)
        shown = self._judge.shown(now)
        cue, cue_is_new = self._cues.update(now, shown, ended_with, attempt is not None and attempt.counted)
        return CoachState(
            phase=self._phase_name(now),
            reps=self._counter.repetitions,
            partial_reps=self._counter.partial_repetitions,
            faults=tuple(_shown(fault) for fault in shown),
            cue=cue,
            cue_is_new=cue_is_new,
            ghost_K3=self._ghost_K3(now, pose, shown, torso_px),
            view=view,
            progress=progress,
            fault_counts=MappingProxyType(self._judge.times_found()),
        )

    def _torso_px(self, now: float, pose: Pose) -> float | None:
        """The torso's length over the last seconds, which follows a person who walks towards the camera."""
        length = pose.torso_px()
        if length is not None:
            self._torso.push(now, length)
        return self._torso.value()

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
            self._deepest = pose
        return attempt

    def _phase_name(self, now: float) -> str:
        if now - self._seen_seconds > LOST_SECONDS:
            return LOOKING
        names = self.exercise.repetition.phases
        return {"rest": names.rest, "out": names.out, "full": names.full, "back": names.back}[self._counter.phase]

    def _ghost_K3(
        self, now: float, pose: Pose, shown: tuple[definition.Fault, ...], torso_px: float | None
    ) -> npt.NDArray[np.float64] | None:
        if torso_px is None:
            return None
        return self._ghost.update(now, pose, self._correct_points(pose, shown, torso_px), torso_px)

    def _correct_points(self, pose: Pose, shown: tuple[definition.Fault, ...], torso_px: float) -> Points | None:
        """The correct pose for the first fault that the pose lets be put right.

        What is judged after an attempt is shown on the pose in which the attempt went furthest.
        """
        lengths = self._lengths.in_pixels(torso_px)
        for fault in shown:
            if fault.judged != "after":
                points_K2 = corrected(pose, fault, lengths)
            elif self._deepest is not None:
                deepest_K2 = corrected(self._deepest, fault, lengths)
                points_K2 = None if deepest_K2 is None else planted(deepest_K2, self._deepest, pose)
            else:
                points_K2 = None
            if points_K2 is not None:
                return points_K2
        return None

    def _start_again(self) -> None:
        """Forget everything but the counts."""
        for part in (self._torso, self._view, self._progress, self._lengths):
            part.clear()
        self._counter.abandon()
        self._judge.reset()
        self._cues.reset()
        self._ghost = Ghost()
        self._deepest = None
        self._seen_seconds = -math.inf


def _shown(fault: definition.Fault) -> Fault:
    return Fault(fault.name, tuple(keypoint_named(name) for name in fault.keypoints), fault.cue, fault.severity)
