"""A recording with all that it is looked at with, as the settings say: for `run --once` and `analyze` alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plumbline_contract.exercise import Exercise
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.errors import InvalidSettings
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.frame import FrameSource
from plumbline_edge.judging import Judging, RunningJudge
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.running import RunningBundle
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.source import open_source


@dataclass(frozen=True)
class Recording:
    """What is looked at, for what, by whom."""

    source: FrameSource
    exercise: Exercise
    estimator: PoseEstimator
    judging: Judging | None


def open_configured(settings: EdgeSettings) -> FrameSource:
    """The source of the settings, turned as they say. Raises SourceUnavailable."""
    return open_source(settings.source, settings.camera)


def require_another_file(source: str, output: Path) -> None:
    """Raise InvalidSettings where the annotated video would take the place of the recording that it is made of."""
    try:
        is_source = output.samefile(Path(source).expanduser())
    except (OSError, RuntimeError):  # one of them is not there, which opening them tells of where it matters
        return
    if is_source:
        raise InvalidSettings(
            f"output {str(output)!r} is the source itself, which would be lost; give --output another name"
        )


def open_recording(settings: EdgeSettings, metrics: EdgeMetrics, needed_by: str) -> Recording:
    """Open source, bundle and judge. Raises InvalidSettings for a camera, and what opening each raises."""
    exercise = load_exercise(settings.exercise)
    source = open_configured(settings)
    try:
        if source.live:
            raise InvalidSettings(f"{needed_by} needs a recording, and {source.name!r} has no end; name a video file")
        return Recording(
            source, exercise, RunningBundle(settings, metrics).estimator, RunningJudge(settings).begun_with
        )
    except BaseException:
        source.close()
        raise
