"""How far through the movement a person is: 0 at rest, 1 at the full position, from several measures at once."""

from __future__ import annotations

from typing import Final

from plumbline_contract.exercise import LearntRest, ProgressSource, View
from plumbline_contract.skeleton import Keypoint
from plumbline_edge.coach.measures import SIDES, keypoints_of, points_of, read
from plumbline_edge.coach.pose import Pose, Spots
from plumbline_edge.coach.windows import RunningPercentile, TrimmedWindow

SMOOTHING_SECONDS: Final[float] = 0.3
REST_SECONDS: Final[float] = 15.0
REST_PERCENTILE: Final[float] = 75.0
"""Rest is where the largest values are; the top quarter is left to noise and to values from before a step closer."""


class SourceTracker:
    """Follows one measure and, where the exercise asks for it, learns its value at rest."""

    def __init__(self, source: ProgressSource) -> None:
        self.source = source
        self._window = TrimmedWindow(SMOOTHING_SECONDS)
        self._rest = RunningPercentile(REST_PERCENTILE, REST_SECONDS, min_samples=4)

    def update(self, time_seconds: float, pose: Pose, torso_px: float | None) -> float | None:
        """Progress by this measure, None while it is unseen or its rest is not known."""
        reading = read(self.source.measure, pose, torso_px)
        value = self._window.push(time_seconds, reading.value if reading else None)
        if value is None:
            return None
        rest = self.source.rest
        if isinstance(rest, LearntRest) and reading is not None:
            low, high = rest.learnt_between
            if low <= value <= high:
                self._rest.push(time_seconds, value)
        return self.progress_of(value)

    def progress_of(self, value: float) -> float | None:
        """The progress that a value of the measure means, None while its rest is not known."""
        rest, full = self.source.rest, self.source.full
        if isinstance(rest, LearntRest):
            learnt = self._rest.value()
            if learnt is None:
                return None
            rest, full = learnt, learnt * full
        return (rest - value) / (rest - full)

    def clear(self) -> None:
        """Forget everything, the learnt rest too."""
        self._window.clear()
        self._rest.clear()


class ProgressTracker:
    """The weighted mean of all measures that are seen and can be judged in this view."""

    def __init__(self, sources: tuple[ProgressSource, ...]) -> None:
        self._trackers = [SourceTracker(source) for source in sources]

    def update(self, time_seconds: float, pose: Pose, torso_px: float | None, view: View | None) -> float | None:
        """Progress now, None when nothing tells it."""
        told = [(tracker, tracker.update(time_seconds, pose, torso_px)) for tracker in self._trackers]
        return _mean([(tracker.source.weight, progress) for tracker, progress in told if _told_in(tracker, view)])

    def of(self, spots: Spots, torso_px: float, view: View | None) -> float | None:
        """The progress of any pose, without taking it in."""
        told = []
        for tracker in self._trackers:
            reading = read(tracker.source.measure, spots, torso_px) if _told_in(tracker, view) else None
            if reading is not None:
                told.append((tracker.source.weight, tracker.progress_of(reading.value)))
        return _mean(told)

    def keypoints(self) -> frozenset[Keypoint]:
        """The keypoints that tell the progress."""
        names = [name for tracker in self._trackers for name in points_of(tracker.source.measure)]
        return frozenset(keypoint for name in names for side in SIDES for keypoint in keypoints_of(name, side))

    def clear(self) -> None:
        """Forget everything."""
        for tracker in self._trackers:
            tracker.clear()


def _told_in(tracker: SourceTracker, view: View | None) -> bool:
    return view in tracker.source.views if view else tracker.source.in_every_view


def _mean(told: list[tuple[float, float | None]]) -> float | None:
    known = [(weight, progress) for weight, progress in told if progress is not None]
    total = sum(weight for weight, _ in known)
    return sum(weight * progress for weight, progress in known) / total if total else None
