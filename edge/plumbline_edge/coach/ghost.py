"""The correct pose as a ghost: what to put right first, on this person's own limbs, moving smoothly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from plumbline_contract.exercise import Exercise, Fault, View
from plumbline_contract.measure import (
    AngleDifference,
    AttemptMeasure,
    Bend,
    BodyMeasure,
    JointAngle,
    LineTilt,
    MovementProgress,
    SegmentTilt,
    Tempo,
)
from plumbline_contract.skeleton import Keypoint, keypoint_named
from plumbline_edge.coach.correction import BODY, Points, Rule, corrected, with_lengths_of
from plumbline_edge.coach.faults import FaultWatch
from plumbline_edge.coach.measures import SIDES, Side, keypoints_of, points_of, read, worst_side_breaks
from plumbline_edge.coach.pose import Pose, Spots
from plumbline_edge.coach.progress import ProgressTracker
from plumbline_edge.coach.windows import RunningPercentile

SMOOTHING_SECONDS: Final[float] = 0.15
SOLVE_SECONDS: Final[float] = 0.1
"""The correct pose is worked out this often; between, it moves with the person."""
LEARN_SECONDS: Final[float] = 0.3
LEAST_MOVE: Final[float] = 0.03
"""A ghost that moves no joint by this many torso lengths is not worth drawing."""
MARGIN: Final[float] = 0.5
"""How far from its threshold towards its target every other rule is kept: limbs brought to their lengths, and a ghost
that moves smoothly, lie beside the pose that was worked out."""
DEGREES: Final = (JointAngle, Bend, SegmentTilt, AngleDifference, LineTilt)


class LimbLengths:
    """The true lengths of limbs in torso lengths, learnt from how long they were lately seen."""

    def __init__(self, seconds: float = 15.0, percentile: float = 90.0) -> None:
        self._seen = {limb: RunningPercentile(percentile, seconds, 1 / LEARN_SECONDS, min_samples=3) for limb in BODY}
        self._last_seconds = -math.inf

    def update(self, time_seconds: float, pose: Pose, torso_px: float) -> None:
        """Take one frame; a few a second are enough."""
        if 0 <= time_seconds - self._last_seconds < LEARN_SECONDS - 1e-6:
            return
        self._last_seconds = time_seconds
        for limb, seen in self._seen.items():
            one, other = pose.spot(limb[0]), pose.spot(limb[1])
            if one is not None and other is not None:
                seen.push(time_seconds, math.hypot(one.x - other.x, one.y - other.y) / torso_px)

    def in_torsos(self) -> dict[tuple[Keypoint, Keypoint], float]:
        """The lengths that are known by now."""
        known = {limb: seen.value() for limb, seen in self._seen.items()}
        return {limb: length for limb, length in known.items() if length is not None}

    def clear(self) -> None:
        """Forget everything."""
        for seen in self._seen.values():
            seen.clear()
        self._last_seconds = -math.inf


class Corrector:
    """Works out the correct pose of one exercise."""

    def __init__(self, exercise: Exercise, watches: Sequence[FaultWatch], progress: ProgressTracker) -> None:
        self.lengths = LimbLengths()
        self._watches = {watch.fault.name: watch for watch in watches}
        self._progress = progress
        self._last: tuple[Pose, str, Points | None] | None = None
        self._planted = tuple(keypoint_named(name) for name in exercise.planted)

    def correct(
        self,
        pose: Pose,
        fault: Fault,
        torso_px: float,
        view: View | None,
        guess_K2: Points | None = None,
    ) -> Points | None:
        """The pose with this fault put right and no other made.

        `guess_K2`: the moves (17, 2) in pixels that put it right a moment ago.
        """
        if isinstance(fault.condition.measure, Tempo):
            return None
        others = [watch.fault for watch in self._watches.values() if self._holds_beside(watch.fault, fault, view)]
        own, spots = self._rules(fault, view, 1.0), _in_torsos(pose, torso_px)
        if not any(rule.excess(spots) > 0 for rule in own):
            return None
        asked = [*own, *(rule for other in others for rule in self._rules(other, view, MARGIN))]
        faulty = frozenset(keypoint_named(name) for name in fault.keypoints)
        return corrected(
            pose, torso_px, asked, self.lengths.in_torsos(), self._planted, faulty, view == "side", guess_K2
        )

    def correct_last(
        self, deepest: Pose | None, fault: Fault, torso_px: float, view: View | None, at: Pose
    ) -> Points | None:
        """An attempt's deepest pose put right, standing where the pose `at` stands; worked out once an attempt."""
        if deepest is None:
            return None
        if self._last is None or self._last[0] is not deepest or self._last[1] != fault.name:
            self._last = (deepest, fault.name, self.correct(deepest, fault, torso_px, view))
        points_K2 = self._last[2]
        return None if points_K2 is None else _moved_to(points_K2, deepest, at, self._planted)

    def _holds_beside(self, other: Fault, fault: Fault, view: View | None) -> bool:
        """Whether a rule is one of the moment in which this fault is put right."""
        if other.name == fault.name or view not in other.views or isinstance(other.condition.measure, AttemptMeasure):
            return False
        deep = fault.judged in ("at_full", "after")
        return other.judged != "at_full" or deep

    def _rules(self, fault: Fault, view: View | None, share: float) -> list[Rule]:
        """The fault's condition as rules, from its threshold (`share` 0) to its target (1); none before it can be told.

        Where the worst side decides, each side has a rule of its own: of both in one, only that of the moment would be
        put right, then the other, while the first falls back.
        """
        watch = self._watches[fault.name]
        condition, neutral = fault.condition, watch.neutral
        if neutral is None:
            return []
        limit = condition.threshold + share * (fault.target - condition.threshold)
        measure = condition.measure
        if isinstance(measure, MovementProgress):
            keypoints = self._progress.keypoints()
            return [
                Rule(lambda spots: self._progress.of(spots, 1.0, view), keypoints, condition.comparison, limit, 1.0)
            ]
        assert not isinstance(measure, Tempo)
        scale = math.degrees(1.0) if isinstance(measure, DEGREES) else 1.0
        apart = worst_side_breaks(measure, condition.comparison) and not condition.either_way
        return [
            Rule(
                partial(_compared, measure, watch, neutral, sides),
                frozenset(key for name in points_of(measure) for side in sides for key in keypoints_of(name, side)),
                condition.comparison,
                limit,
                scale,
            )
            for sides in ([(side,) for side in SIDES] if apart else [SIDES])
        ]


def _compared(
    measure: BodyMeasure, watch: FaultWatch, neutral: float, sides: Sequence[Side], spots: Spots
) -> float | None:
    """What a condition compares, read of these sides of a pose in torso lengths."""
    reading = read(measure, spots, 1.0, sides)
    return None if reading is None else watch.from_neutral(reading.value, neutral)


class Ghost:
    """Draws the correct pose smoothly from frame to frame."""

    def __init__(self) -> None:
        self._moves_K2: Points | None = None
        self._wanted_K2: Points | None = None
        self._fault: str | None = None
        self._last_seconds = self._solved_seconds = -math.inf

    def is_due(self, time_seconds: float, fault: str) -> bool:
        """Whether the correct pose is to be worked out anew."""
        return fault != self._fault or not 0 <= time_seconds - self._solved_seconds < SOLVE_SECONDS - 1e-6

    def guess_K2(self, faults: str) -> Points | None:
        """The moves that put these faults right a moment ago, where there are any."""
        return self._wanted_K2 if faults == self._fault else None

    def aim(self, time_seconds: float, fault: str, pose: Pose, wanted_K2: Points | None) -> None:
        """Take the correct pose that was worked out for the pose of this frame."""
        self._fault, self._solved_seconds = fault, time_seconds
        seen_K1 = pose.seen_K[:, None]
        self._wanted_K2 = None if wanted_K2 is None else np.where(seen_K1, wanted_K2 - pose.keypoints_K3[:, :2], 0.0)

    def clear(self) -> None:
        """Nothing is to be put right."""
        self._moves_K2 = self._wanted_K2 = self._fault = None

    def draw(self, time_seconds: float, pose: Pose, torso_px: float, from_side: bool = False) -> Points | None:
        """The ghost (17, 3), or None; its score is the person's, so a joint that is not seen has no ghost.

        `from_side`: limbs keep the lengths that they have in the picture, though they turn between two solutions.
        """
        if self._wanted_K2 is None:
            self._moves_K2 = None
            return None
        wanted_K2 = self._wanted_K2
        if self._moves_K2 is not None:
            share = 1 - math.exp(-max(time_seconds - self._last_seconds, 0.0) / SMOOTHING_SECONDS)
            wanted_K2 = self._moves_K2 + share * (wanted_K2 - self._moves_K2)
        self._moves_K2, self._last_seconds = wanted_K2, time_seconds
        if np.abs(wanted_K2).max() < LEAST_MOVE * torso_px:
            return None
        points_K2 = np.where(pose.seen_K[:, None], pose.keypoints_K3[:, :2] + wanted_K2, 0.0)
        if from_side:
            points_K2 = with_lengths_of(pose, points_K2, torso_px)
        return np.concatenate([points_K2, pose.keypoints_K3[:, 2:]], axis=1)


def _in_torsos(pose: Pose, torso_px: float) -> Spots:
    return Spots(
        [
            None if (spot := pose.spot(key)) is None else spot._replace(x=spot.x / torso_px, y=spot.y / torso_px)
            for key in Keypoint
        ]
    )


def _moved_to(points_K2: Points, pose: Pose, at: Pose, planted: Sequence[Keypoint]) -> Points | None:
    """Points of an earlier pose, moved so that what is planted lies where it lies now."""
    before, now = pose.spot(*planted) if planted else None, at.spot(*planted) if planted else None
    if before is None or now is None:
        return None
    return np.asarray(points_K2 + np.array([now.x - before.x, now.y - before.y]))
