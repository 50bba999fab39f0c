"""What a recording shows of somebody's exercise: repetitions, faults, angles, and the worst moment of each fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.exercise import Exercise
from plumbline_contract.form import Verdict
from plumbline_contract.measure import AngleDifference, BodyMeasure, DistanceRatio, JointAngle
from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import keypoint_named
from plumbline_edge.coach.agreement import Agreement
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.measures import points_of, read
from plumbline_edge.coach.pose import Pose
from plumbline_edge.coach.state import LOOKING, CoachState
from plumbline_edge.draw import Overlay, draw_pose

PICTURE_WIDTH: Final = 480

Points = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Repetition:
    """One attempt."""

    began_seconds: float
    ended_seconds: float
    counted: bool
    peak_progress: float
    out_seconds: float
    back_seconds: float
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Moment:
    """The worst moment of a fault: when, how far the farthest joint is from right, and two pictures of it."""

    seconds: float
    moves_px: float
    as_it_was: Image
    as_it_should_be: Image


@dataclass(frozen=True)
class Snapshot:
    """A frame that may turn out to be worth showing."""

    seconds: float
    image: Image
    keypoints_K3: Points


class Analysis:
    """Takes in frame after frame with its keypoints, and keeps what a report needs."""

    def __init__(self, exercise: Exercise, agreement: Agreement | None = None) -> None:
        """`agreement`: what a judge says too, whose verdicts then come with the frames."""
        self.exercise = exercise
        self.coach = Coach(exercise, agreement=agreement)
        self.times: list[float] = []
        self.progress: list[float | None] = []
        self.curves: dict[str, list[float | None]] = {name: [] for name in measures_of(exercise)}
        self.repetitions: list[Repetition] = []
        self.worst: dict[str, Moment] = {}
        self.frames_with_person = 0
        self._measures = measures_of(exercise)
        self._deepest: Snapshot | None = None
        self._peak = 0.0
        self._told: CoachState | None = None

    @property
    def state(self) -> CoachState:
        """The coach's state after the last frame, or what was told at the time."""
        return self._told or self.coach.state

    def retell(self, state: CoachState, repetitions: Sequence[Repetition]) -> None:
        """Report these counts and attempts, which somebody was told at the time, a judge's word perhaps among them."""
        self._told = state
        self.repetitions = list(repetitions)

    def take(
        self, seconds: float, image: Image, keypoints_K3: Points, seen: bool, verdict: Verdict | None = None
    ) -> None:
        """Take in the next frame."""
        state = self.coach.update(seconds, keypoints_K3, verdict)
        pose = Pose(keypoints_K3)
        torso_px = pose.torso_px()
        self.frames_with_person += seen
        self.times.append(seconds)
        self.progress.append(state.progress)
        for name, measure in self._measures.items():
            reading = read(measure, pose, torso_px)
            self.curves[name].append(None if reading is None else reading.value)
        self._keep_deepest(seconds, image, keypoints_K3, state)
        self._keep_worst(Snapshot(seconds, image, keypoints_K3), state)
        if state.attempt is not None:
            self._close_attempt(seconds, state)
        if state.attempt is not None or self._is_between_attempts(state):
            self._deepest, self._peak = None, 0.0

    def _is_between_attempts(self, state: CoachState) -> bool:
        """At rest or out of sight: of an attempt that was given up nothing is left for the next."""
        repetition = self.exercise.repetition
        return state.phase == LOOKING or (repetition is not None and state.phase == repetition.phases.rest)

    def _keep_deepest(self, seconds: float, image: Image, keypoints_K3: Points, state: CoachState) -> None:
        if state.progress is not None and (self._deepest is None or state.progress > self._peak):
            self._peak = state.progress
            self._deepest = Snapshot(seconds, image.copy(), keypoints_K3.copy())

    def _keep_worst(self, snapshot: Snapshot, state: CoachState) -> None:
        after = {fault.name for fault in self.exercise.faults if fault.judged == "after"}
        shown = [fault.name for fault in state.faults if fault.name not in after]
        if shown and state.ghost_K3 is not None:
            self._offer(shown[0], snapshot, state.ghost_K3)

    def _close_attempt(self, seconds: float, state: CoachState) -> None:
        attempt = state.attempt
        assert attempt is not None
        began = seconds - attempt.seconds
        self.repetitions.append(
            Repetition(
                began,
                seconds,
                attempt.counted,
                attempt.peak_progress,
                attempt.out_seconds,
                attempt.back_seconds,
                state.attempt_faults,
            )
        )
        after = {fault.name for fault in self.exercise.faults if fault.judged == "after"}
        for name in after & set(state.attempt_faults):
            ghost_K3 = self.coach.corrected_at_deepest(name)
            if self._deepest is not None and ghost_K3 is not None:
                self._offer(name, self._deepest, ghost_K3)

    def _offer(self, fault: str, snapshot: Snapshot, ghost_K3: Points) -> None:
        """Keep this moment of a fault if it is the worst so far."""
        moves_px = float(np.abs(ghost_K3[:, :2] - snapshot.keypoints_K3[:, :2])[ghost_K3[:, 2] > 0].max(initial=0.0))
        if fault not in self.worst or moves_px > self.worst[fault].moves_px:
            pictures = (self._picture(snapshot, fault, None), self._picture(snapshot, fault, ghost_K3))
            self.worst[fault] = Moment(snapshot.seconds, moves_px, *pictures)

    def _picture(self, snapshot: Snapshot, fault_name: str, ghost_K3: Points | None) -> Image:
        fault = next(fault for fault in self.exercise.faults if fault.name == fault_name)
        scale = PICTURE_WIDTH / snapshot.image.shape[1]
        size = (PICTURE_WIDTH, round(snapshot.image.shape[0] * scale))
        picture = np.asarray(cv2.resize(snapshot.image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        factors = np.array([scale, scale, 1.0])
        overlay = Overlay(
            keypoints_K3=snapshot.keypoints_K3 * factors,
            ghost_K3=None if ghost_K3 is None else ghost_K3 * factors,
            faulty=frozenset(keypoint_named(name) for name in fault.keypoints),
            reps=0,
            phase="",
            cue=None,
            cue_is_praise=False,
            fps=0.0,
        )
        draw_pose(picture, overlay)
        return picture


def measures_of(exercise: Exercise) -> dict[str, BodyMeasure]:
    """What is measured in each frame, by a name for people: the movement's own measures, then those of its faults."""
    measures: dict[str, BodyMeasure] = {}
    for source in exercise.progress:
        measures.setdefault(title_of(source.measure), source.measure)
    for fault in exercise.faults:
        if fault.judged != "after":
            measures.setdefault(title_of(fault.condition.measure), fault.condition.measure)  # type: ignore[arg-type]
    return measures


def title_of(measure: object) -> str:
    """What a measure is called in a report, with its unit."""
    kind = str(getattr(measure, "kind", ""))
    points = points_of(measure)  # type: ignore[arg-type]
    if isinstance(measure, JointAngle | AngleDifference):
        points = points[1:2]
    if isinstance(measure, DistanceRatio):
        points = (*measure.between[:1], *measure.over[:1])
    unit = {"height": "torso lengths", "asymmetry": "torso lengths", "distance_ratio": "ratio"}.get(kind, "degrees")
    return f"{kind.replace('_', ' ')}: {', '.join(point.replace('_', ' ') for point in points)} ({unit})"
