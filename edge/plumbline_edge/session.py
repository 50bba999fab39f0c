"""What happens to one frame, live or recorded: pose, coaching, counting; the same steps in the same order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from plumbline_contract.exercise import Exercise
from plumbline_contract.form import Verdict
from plumbline_edge.coach.agreement import Disagreement
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.state import CoachState
from plumbline_edge.draw import Overlay, Points
from plumbline_edge.estimator import Pose, PoseEstimator
from plumbline_edge.frame import Frame
from plumbline_edge.judging import Judging
from plumbline_edge.meter import Meter
from plumbline_edge.metrics import EdgeMetrics

LEAST_FPS: Final = 4.0
"""At fewer frames a second the coach misses faults of repetitions, and soon repetitions: docs/coach.md has figures."""


@dataclass(frozen=True)
class Result:
    """A frame with all that was found out about it."""

    frame: Frame
    pose: Pose
    state: CoachState
    cue_is_praise: bool
    exercise: Exercise

    def overlay(self, fps: float, *, later_by_seconds: float = 0.0) -> Overlay:
        """What to draw over the frame, or over one that came this much later."""
        faulty = {keypoint for fault in self.state.faults for keypoint in fault.keypoints}
        return Overlay(
            keypoints_K3=self.pose.carried(later_by_seconds) if self.pose.seen else None,
            ghost_K3=self._carried_ghost(later_by_seconds) if self.pose.seen else None,
            faulty=frozenset(faulty),
            reps=self.state.reps,
            phase=self.state.phase,
            cue=self.state.cue,
            cue_is_praise=self.cue_is_praise,
            fps=fps,
        )

    def _carried_ghost(self, seconds: float) -> Points | None:
        """The ghost (K, 3), each seen joint moved on as far as the person's own."""
        if self.state.ghost_K3 is None:
            return None
        ghost_K3: Points = self.state.ghost_K3.copy()
        moved_K2 = (self.pose.carried(seconds) - self.pose.keypoints_K3)[:, :2]
        # A joint that is not seen scores 0, and has no place.
        ghost_K3[:, :2] += np.where(ghost_K3[:, 2:] > 0, moved_K2, 0.0)
        return ghost_K3


class Session:
    """One person's exercise: takes frames in order, keeps the counts."""

    def __init__(
        self,
        estimator: PoseEstimator,
        coach: Coach,
        metrics: EdgeMetrics,
        meter: Meter,
        say: Callable[[str], None] | None = None,
        note: Callable[[Result], None] | None = None,
        judging: Judging | None = None,
    ) -> None:
        """`say` is given each new cue, `note` each result; `judging` is the judge's part, None without a judge."""
        self.exercise = coach.exercise.name
        self.meter = meter
        self.state = coach.state
        self.frames = 0
        self.frames_with_person = 0
        self.person_seen = False
        self.cue_is_praise = False
        self.cues_given = 0
        """Rises by one with each new cue, so that a reader knows when to say it."""
        self.estimator = estimator
        self._coach = coach
        self._metrics = metrics
        self._say = say
        self._note = note
        self._judging = judging
        if judging is not None:
            coach.agreement = judging.agreement(coach.exercise)
        self._coaching = threading.Lock()
        """The coach is used by the thread that processes frames and by whoever tells it something."""

    @property
    def definition(self) -> Exercise:
        """The exercise as it is defined."""
        return self._coach.exercise

    def choose(self, exercise: Exercise) -> None:
        """Coach this exercise from the next frame on, counting from nought, quiet if asked; any thread may ask."""
        with self._coaching:
            judging = self._judging
            agreement = None if judging is None else judging.agreement(exercise)
            quiet_seconds = self._coach.quiet_seconds
            self._coach = Coach(exercise, cue_timing=self._coach.cue_timing, agreement=agreement)
            self._coach.snooze(quiet_seconds)
            self.exercise = exercise.name
            self.state = self._coach.state
            self.cue_is_praise = False

    def judge_with(self, judging: Judging) -> None:
        """Hear this judge from the next frame on; any thread may ask for it."""
        with self._coaching:
            self._judging = judging
            self._coach.agreement = judging.agreement(self._coach.exercise)

    def recalibrate(self) -> None:
        """Learn anew what is neutral for this person; any thread may ask for it."""
        with self._coaching:
            self._coach.recalibrate()

    def snooze(self, seconds: float) -> None:
        """Give no cue for this long; any thread may ask for it."""
        with self._coaching:
            self._coach.snooze(seconds)

    @property
    def quiet_seconds(self) -> float:
        """How long no cue will be given."""
        return self._coach.quiet_seconds

    def is_too_slow(self, now: float) -> bool:
        """Whether frames come too seldom for repetitions to be counted and judged; what is held takes fewer."""
        return self.definition.repetition is not None and self.meter.is_slower_than(LEAST_FPS, now)

    def process(self, frame: Frame) -> Result:
        """Take in the next frame."""
        was_tracking = self.estimator.tracking
        pose = self.estimator.estimate(frame)
        with self._coaching:
            result = self._coached(frame, pose)
        completed_at = time.monotonic()
        self.meter.record(completed_at, completed_at - frame.captured_at)
        self._metrics.latency.observe(completed_at - frame.captured_at)
        self._metrics.tracking.observe(was_tracking, self.estimator.tracking, pose.keypoints_K3, seen=pose.seen)
        return result

    def _coached(self, frame: Frame, pose: Pose) -> Result:
        verdict = self._verdict(frame, pose)
        estimated_at = time.perf_counter()
        before = self._disagreements()
        state = self._coach.update(frame.timestamp_seconds, pose.keypoints_K3, verdict)
        self._metrics.observe_stage("coach", time.perf_counter() - estimated_at)
        for kind, count in self._disagreements().items():
            self._metrics.judge_disagreements.labels(kind=kind).inc(count - before[kind])
        self._count(pose, state)
        result = Result(frame, pose, state, self.cue_is_praise, self._coach.exercise)
        if self._note is not None:
            self._note(result)
        return result

    def _verdict(self, frame: Frame, pose: Pose) -> Verdict | None:
        if self._judging is None:
            return None
        begun_at = time.perf_counter()
        verdict = self._judging.judge.update(frame.timestamp_seconds, pose.keypoints_K3)
        if verdict is not None:
            self._metrics.observe_stage("judge", time.perf_counter() - begun_at)
        return verdict

    def _disagreements(self) -> dict[Disagreement, int]:
        agreement = self._coach.agreement
        return {} if agreement is None else dict(agreement.disagreements)

    def _count(self, pose: Pose, state: CoachState) -> None:
        self._metrics.frames.inc()
        self._metrics.reps.labels(exercise=self.exercise).inc(state.reps - self.state.reps)
        for name, count in state.fault_counts.items():
            before = self.state.fault_counts.get(name, 0)
            self._metrics.faults.labels(exercise=self.exercise, fault=name).inc(count - before)
        self.frames += 1
        self.frames_with_person += pose.seen
        self.person_seen = pose.seen
        self.cues_given += state.cue_is_new
        if state.cue_is_new and state.cue and self._say is not None:
            self._say(state.cue)
        self.cue_is_praise = state.cue == self._coach.exercise.praise
        self.state = state
