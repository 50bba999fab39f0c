"""Part of `make bench`: what the coach costs a frame, with nothing wrong and with a correct pose to work out, and the
judge an answer.

The keypoints are those that the bundle finds on the sample clip; they are found first and not timed. Times are of the
processor, so that what else runs on the machine counts less.
"""

from __future__ import annotations

import platform
import statistics
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from plumbline_contract.exercise import Exercise
from plumbline_edge.bundle import open_bundle, open_form_bundle
from plumbline_edge.coach import Coach, load_exercise
from plumbline_edge.coach.judge import FormJudge
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.source import open_source

ROOT = Path(__file__).parent.parent
ALWAYS_AT_FAULT: Final = 8.0
"""Degrees of lean that any squat goes beyond, so that most frames of it have a ghost."""


def sample_keypoints() -> tuple[list[np.ndarray[Any, Any]], float]:
    """Keypoints of each frame of the sample clip, and its rate."""
    model = open_bundle(ROOT / "models" / "hrnet-edge-s").load_model(1)
    estimator, source = PoseEstimator(model, lambda stage, seconds: None), open_source(str(ROOT / "samples/squats.mp4"))
    found = []
    while (frame := source.read()) is not None:
        found.append(estimator.estimate(frame).keypoints_K3)
    return found, source.frame_rate


def strict_squat() -> Exercise:
    """The squat with a rule that everybody breaks."""
    squat = load_exercise("squat")
    faults = [
        fault.model_copy(
            update={
                "judged": "moving",
                "views": ("front", "side", "three_quarter"),
                "condition": fault.condition.model_copy(update={"threshold": ALWAYS_AT_FAULT, "hysteresis": 1.0}),
                "target": 4.0,
            }
        )
        for fault in squat.faults
        if fault.name == "leaning_too_far"
    ]
    return squat.model_copy(update={"faults": tuple(faults)})


def milliseconds(exercise: Exercise, poses: list[np.ndarray[Any, Any]], rate_hz: float) -> tuple[list[float], int]:
    """The time of each frame, and how many frames had a ghost."""
    coach, times, ghosts = Coach(exercise), [], 0
    for frame, keypoints_K3 in enumerate(poses):
        started = time.thread_time()
        state = coach.update(frame / rate_hz, keypoints_K3)
        times.append(1000 * (time.thread_time() - started))
        ghosts += state.ghost_K3 is not None
    return times, ghosts


def judge_milliseconds(poses: list[np.ndarray[Any, Any]], rate_hz: float) -> list[float]:
    """The time of each answer of the shipped judge, its window's making included."""
    judge, times = FormJudge(open_form_bundle(ROOT / "models" / "form-judge").load_model()), []
    for frame, keypoints_K3 in enumerate(poses):
        started = time.thread_time()
        answer = judge.update(frame / rate_hz, keypoints_K3)
        if answer is not None:
            times.append(1000 * (time.thread_time() - started))
    return times


def print_row(times: list[float], what: str) -> None:
    """Mean, median and 99th percentile."""
    print(
        f"{statistics.fmean(times):9.3f} ms mean, {statistics.median(times):.3f} median,"
        f" {float(np.percentile(times, 99)):.3f} p99   {what}"
    )


def main() -> None:
    """Print mean, median and 99th percentile."""
    poses, rate_hz = sample_keypoints()
    print(f"{platform.machine()}, coach on {len(poses)} frames of samples/squats.mp4")
    cases = {"as it is": load_exercise("squat"), "nearly always at fault": strict_squat()}
    for name, exercise in cases.items():
        runs = [milliseconds(exercise, poses, rate_hz) for _ in range(5)]
        times = [value for run, _ in runs for value in run]
        print_row(times, f"coach, {name} ({runs[0][1]} frames with a ghost)")
    print_row([value for _ in range(5) for value in judge_milliseconds(poses, rate_hz)], "judge, an answer")


if __name__ == "__main__":
    main()
