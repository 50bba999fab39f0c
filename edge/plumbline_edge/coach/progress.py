"""How far through the movement a person is: 0 at rest, 1 at the full position, from several measures at once."""

from __future__ import annotations

from typing import Final

from plumbline_contract.exercise import LearntRest, ProgressSource, View
from plumbline_edge.coach.measures import read
from plumbline_edge.coach.pose import Pose
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
        rest, full = self.source.rest, self.source.full
        if isinstance(rest, LearntRest):
            low, high = rest.learnt_between
            if reading is not None and low <= value <= high:
                self._rest.push(time_seconds, value)
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
        total, weight = 0.0, 0.0
        for tracker in self._trackers:
            progress = tracker.update(time_seconds, pose, torso_px)
            if progress is not None and (view in tracker.source.views if view else tracker.source.in_every_view):
                total += tracker.source.weight * progress
                weight += tracker.source.weight
        return total / weight if weight else None

    def clear(self) -> None:
        """Forget everything."""
        for tracker in self._trackers:
            tracker.clear()
