"""The coach: keypoints with their times in, repetitions or a hold, faults, a cue and the correct pose out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract import exercise as definition
from plumbline_contract.exercise import Exercise, View
from plumbline_contract.form import Verdict
from plumbline_contract.sequence import SEEN_SCORE, TORSO_PERCENTILE
from plumbline_contract.skeleton import keypoint_named
from plumbline_edge.coach.agreement import Agreement
from plumbline_edge.coach.cues import CuePolicy, CueTiming
from plumbline_edge.coach.faults import FaultJudge, Moment
from plumbline_edge.coach.ghost import Corrector, Ghost
from plumbline_edge.coach.holds import PositionWatch
from plumbline_edge.coach.judged_repetitions import Recount
from plumbline_edge.coach.movement import Held, Movement, Repeated
from plumbline_edge.coach.pose import Keypoints, Pose
from plumbline_edge.coach.progress import ProgressTracker
from plumbline_edge.coach.repetitions import Phase
from plumbline_edge.coach.state import LOOKING, CoachState, Fault
from plumbline_edge.coach.view import ViewEstimator, unit_px
from plumbline_edge.coach.windows import RunningPercentile

TORSO_SECONDS: Final[float] = 3.0
SLOW_FRAME_SECONDS: Final[float] = 0.3
"""Where frames come further apart than this, few fall into TORSO_SECONDS, and whatever has come is enough."""
CUT_SECONDS: Final[float] = 5.0
"""After a jump of time by more than this, or backwards, it may be another person or picture: calibrate again."""
WRONG_VIEW_SECONDS: Final[float] = 3.0
"""Seen for so long from a side that hides what is to be judged, a person is asked to turn."""


class Coach:
    """Follows one person through one exercise. No clock and no camera: time comes with the frames."""

    def __init__(
        self,
        exercise: Exercise,
        *,
        min_score: float = SEEN_SCORE,
        cue_timing: CueTiming | None = None,
        agreement: Agreement | None = None,
    ) -> None:
        """`min_score`: a keypoint scored lower counts as not seen. `agreement`: what a judge says too."""
        hold = exercise.hold
        self.exercise = exercise
        self.cue_timing = cue_timing
        self.state = CoachState(holds=hold is not None)
        self._min_score = min_score
        self._torso = RunningPercentile(TORSO_PERCENTILE, TORSO_SECONDS)
        self._view = ViewEstimator()
        self._position = PositionWatch(exercise.position)
        self._progress = ProgressTracker(exercise.progress)
        self._movement: Movement = Held(hold) if hold else Repeated(exercise, self._progress)
        self._judge = FaultJudge(exercise.faults, by_occasion=hold is not None)
        self._cues = CuePolicy(exercise.praise, cue_timing, hold.break_after_seconds if hold else None)
        self.agreement = agreement
        self._recount = Recount()
        self._phase: Phase = "rest"
        self._ruled: dict[str, int] = {}
        self._fault_counts: dict[str, int] = {}
        self._corrector = Corrector(exercise, self._judge.watches, self._progress)
        self._ghost = Ghost()
        self._seconds: float | None = None
        self._is_slow = False
        self.quiet_seconds = 0.0
        """How long nothing will be said, by the frames' own time; a jump of it forwards is time that has passed."""
        self._well_seen_seconds: float | None = None

    def snooze(self, seconds: float) -> None:
        """Say nothing for this long; what is wrong is still counted and shown."""
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"seconds is {seconds!r}; give a time to be silent for, 0 or more")
        self.quiet_seconds = seconds

    def recalibrate(self) -> None:
        """Learn anew what is neutral for this person, and speak again; the counts stay."""
        self._start_again()
        self.quiet_seconds = 0.0

    def corrected_at_deepest(self, fault_name: str) -> npt.NDArray[np.float64] | None:
        """The correct pose (17, 3) where the last attempt went furthest; None when there is nothing to put right."""
        deepest, torso_px = self._movement.deepest, self._torso.value()
        faults = {fault.name: fault for fault in self.exercise.faults}
        if deepest is None or torso_px is None:
            return None
        points_K2 = self._corrector.correct(deepest, faults[fault_name], torso_px, self.state.view)
        return None if points_K2 is None else np.concatenate([points_K2, deepest.keypoints_K3[:, 2:]], axis=1)

    def update(self, timestamp_seconds: float, keypoints_K3: Keypoints, verdict: Verdict | None = None) -> CoachState:
        """Take one frame: keypoints (17, 3) as x, y, score in image pixels; unseen ones may be NaN or scored 0.

        `verdict` is the judge's answer where it gave one. A frame with the time of the last one changes nothing.
        Raises ValueError for another shape or a time that is not finite.
        """
        if not math.isfinite(timestamp_seconds):
            raise ValueError(f"timestamp_seconds is {timestamp_seconds!r}; it must be a finite number of seconds")
        pose = Pose(keypoints_K3, self._min_score)
        if timestamp_seconds == self._seconds:
            return self.state
        passed = 0.0 if self._seconds is None else timestamp_seconds - self._seconds
        if self._seconds is not None and not 0 < passed <= CUT_SECONDS:
            self._start_again()
        self.quiet_seconds = max(0.0, self.quiet_seconds - max(0.0, passed))
        self._cues.quiet = self.quiet_seconds > 0
        self._is_slow = passed > SLOW_FRAME_SECONDS
        self._seconds = timestamp_seconds
        if self.agreement is not None:
            if verdict is None:
                self.agreement.await_answer(timestamp_seconds)
            else:
                self.agreement.take(timestamp_seconds, verdict)
        self.state = self._next_state(timestamp_seconds, pose)
        return self.state

    def faults_spoken_of(self) -> tuple[definition.Fault, ...]:
        """The faults that the rules alone would speak of now, the most severe first."""
        return () if self._seconds is None else self._judge.spoken_of(self._seconds)

    def _newly_found(self, now: float) -> dict[str, int]:
        ruled = self._judge.times_found()
        newly = {name: count - self._ruled.get(name, 0) for name, count in ruled.items()}
        self._ruled = ruled
        return newly if self.agreement is None else self.agreement.newly_found(now, newly)

    def _count(self, found: Mapping[str, int]) -> None:
        for name, count in found.items():
            self._fault_counts[name] = self._fault_counts.get(name, 0) + count

    def _next_state(self, now: float, pose: Pose) -> CoachState:
        torso_px = self._torso_px(now, pose)
        view = self._view.update(now, pose, torso_px)
        if torso_px is not None:
            self._corrector.lengths.update(now, pose, torso_px)
        in_position = self._position.update(now, pose, torso_px, view)
        step = self._movement.update(now, pose, torso_px, view, in_position)
        if self.agreement is not None and self.exercise.repetition is not None:
            step = replace(step, attempt=self.agreement.repetitions.agree(now, step, self._recount))
        step = self._recount.applied_to(step)
        self._judge.update(Moment(now, pose, torso_px, view, step.phase, step.at_rest))
        ended_with = None if step.attempt is None else self._judge.attempt_ended(now, step.attempt, view)
        if step.attempt is None and step.phase == "rest" and self._phase != "rest" and self.exercise.repetition:
            self._abandon_attempt()
        self._phase = step.phase
        counted = step.attempt is not None and step.attempt.counted
        shown, spoken_of = self._judge.shown(now), self.faults_spoken_of()
        self._count(self._newly_found(now))
        if self.agreement is not None:
            shown, spoken_of = self.agreement.shown(shown), self.agreement.spoken_of(spoken_of, shown)
            if step.attempt is not None and ended_with is not None:
                ended_with = self.agreement.attempt_ended(now - step.attempt.seconds, ended_with)
            self._count(dict.fromkeys(self.agreement.found_after_all(now), 1))
        if self.exercise.hold is not None:
            self._cues.note_hold(now, step.phase == "full", step.target_reached, self._judge.in_order())
        ask = self._ask(now, view)
        cue, cue_is_new = self._cues.update(now, spoken_of, ended_with, counted, ask, step.remind)
        return CoachState(
            phase=step.phase_name,
            reps=step.repetitions,
            partial_reps=step.partial_repetitions,
            faults=tuple(_shown(fault) for fault in shown),
            cue=cue,
            cue_is_new=cue_is_new,
            ghost_K3=self._ghost_K3(now, pose, shown, torso_px, view),
            view=view,
            progress=step.progress,
            fault_counts=dict(self._fault_counts),
            attempt=step.attempt,
            attempt_faults=tuple(fault.name for fault in ended_with or ()),
            holds=self.exercise.hold is not None,
            hold_seconds=step.hold_seconds,
            best_hold_seconds=step.best_hold_seconds,
        )

    def _torso_px(self, now: float, pose: Pose) -> float | None:
        """The torso's length over the last seconds, which follows a person who walks towards the camera."""
        length = unit_px(pose)
        if length is not None:
            self._torso.push(now, length)
        return self._torso.value(min_samples=1 if self._is_slow else None)

    def _ask(self, now: float, view: View | None) -> str | None:
        """What to ask of a person whose view hides the exercise, or everything that could be wrong with it."""
        judgeable = any(view in fault.views for fault in self.exercise.faults if fault.judged != "after")
        if view is None or (view in self.exercise.view and judgeable) or self._movement.phase_name(now) == LOOKING:
            self._well_seen_seconds = now
            return None
        if self._well_seen_seconds is None:
            self._well_seen_seconds = now
        return self.exercise.turn_cue if now - self._well_seen_seconds >= WRONG_VIEW_SECONDS else None

    def _ghost_K3(
        self,
        now: float,
        pose: Pose,
        shown: tuple[definition.Fault, ...],
        torso_px: float | None,
        view: View | None,
    ) -> npt.NDArray[np.float64] | None:
        """The correct pose for the first fault that can be put right in a picture."""
        if torso_px is None or not shown:
            self._ghost.clear()
            return None
        names = ",".join(fault.name for fault in shown)
        if self._ghost.is_due(now, names):
            self._ghost.aim(now, names, pose, self._correct_points(pose, shown, torso_px, view, names))
        return self._ghost.draw(now, pose, torso_px, view == "side")

    def _correct_points(
        self, pose: Pose, shown: tuple[definition.Fault, ...], torso_px: float, view: View | None, names: str
    ) -> npt.NDArray[np.float64] | None:
        """What is judged after an attempt is shown on the pose in which the attempt went furthest."""
        for fault in shown:
            if fault.judged == "after":
                points_K2 = self._corrector.correct_last(self._movement.deepest, fault, torso_px, view, pose)
            else:
                guess_K2 = self._ghost.guess_K2(names) if len(shown) == 1 else None
                points_K2 = self._corrector.correct(pose, fault, torso_px, view, guess_K2)
            if points_K2 is not None:
                return points_K2
        return None

    def _abandon_attempt(self) -> None:
        """What was under way became no attempt: the next one is not blamed for what was found in it."""
        self._judge.abandon_attempt()
        if self.agreement is not None:
            self.agreement.abandon_attempt()

    def _start_again(self) -> None:
        """Forget everything but the counts."""
        for part in (self._torso, self._view, self._position, self._progress, self._corrector.lengths, self._ghost):
            part.clear()
        self._movement.abandon()
        self._judge.reset()
        self._judge.abandon_attempt()
        if self.agreement is not None:
            self.agreement.clear()
        self._cues.reset()
        self._well_seen_seconds = None


def _shown(fault: definition.Fault) -> Fault:
    return Fault(fault.name, tuple(keypoint_named(name) for name in fault.keypoints), fault.cue, fault.severity)
