"""The contestants of `make bench-edge`, each run as a process: `python -m infra.bench_edge_runners KIND MODEL CLIP`."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

Step = Callable[[Any], float]
"""Takes a BGR frame to its keypoints and draws them; gives the seconds from the frame to the keypoints."""

MEDIAPIPE: Final = """
import json, resource, sys, time
import cv2
import mediapipe as mp
pose = mp.solutions.pose.Pose(model_complexity=1)
capture, taken, started, begun_cpu = cv2.VideoCapture(sys.argv[1]), [], time.perf_counter(), time.process_time()
while True:
    read, frame = capture.read()
    if not read:
        break
    at = time.perf_counter()
    found = pose.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    taken.append(time.perf_counter() - at)
    if found.pose_landmarks:
        mp.solutions.drawing_utils.draw_landmarks(frame, found.pose_landmarks, mp.solutions.pose.POSE_CONNECTIONS)
wall, cpu = time.perf_counter() - started, time.process_time() - begun_cpu
ordered = sorted(taken)
print(json.dumps({
    "fps": len(taken) / wall,
    "p50_ms": 1000 * ordered[len(ordered) // 2], "p95_ms": 1000 * ordered[len(ordered) * 95 // 100],
    "cpu_ms": 1000 * cpu / len(taken), "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def frames(clip: str) -> Iterator[Any]:
    """The clip's pictures."""
    capture = cv2.VideoCapture(clip, cv2.CAP_FFMPEG)
    while (read := capture.read())[0]:
        yield read[1]


def measure(step: Step, clip: str) -> dict[str, Any]:
    """Take the whole clip through `step`."""
    started_at, begun_cpu = time.perf_counter(), time.process_time()
    taken = [step(frame) for frame in frames(clip)]
    wall, cpu = time.perf_counter() - started_at, time.process_time() - begun_cpu
    p50, p95 = np.percentile(taken, [50, 95])
    return {
        "fps": len(taken) / wall,
        "p50_ms": 1000 * float(p50),
        "p95_ms": 1000 * float(p95),
        "cpu_ms": 1000 * cpu / len(taken),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def ours(bundle: Path, clip: str) -> dict[str, Any]:
    """Tracked crop, network, decoding, smoothing, coach; then drawn."""
    from plumbline_edge.bundle import open_bundle
    from plumbline_edge.coach.engine import Coach
    from plumbline_edge.coach.exercises import load_exercise
    from plumbline_edge.draw import draw_pose
    from plumbline_edge.estimator import Pose, PoseEstimator
    from plumbline_edge.frame import Frame
    from plumbline_edge.meter import Meter
    from plumbline_edge.metrics import EdgeMetrics
    from plumbline_edge.session import Session

    stages: dict[str, list[float]] = {}
    metrics = EdgeMetrics()

    def observe(stage: str, seconds: float) -> None:
        stages.setdefault(stage, []).append(seconds)

    metrics.observe_stage = observe  # type: ignore[method-assign]

    class Timed(PoseEstimator):
        """Also notes how long it took without inference, as a share of inference."""

        def estimate(self, frame: Frame) -> Pose:
            started_at = time.perf_counter()
            pose = super().estimate(frame)
            inference = stages["inference"][-1]
            stages.setdefault("to keypoints", []).append((time.perf_counter() - started_at) / inference - 1)
            return pose

    estimator = Timed(open_bundle(bundle).load_model(1), observe)
    session = Session(estimator, Coach(load_exercise("squat")), metrics, Meter())
    index = 0

    def step(image: Any) -> float:
        nonlocal index
        captured_at = time.monotonic()
        result = session.process(Frame(image, index / 30, index, captured_at))
        taken = time.monotonic() - captured_at
        index += 1
        drawn_at = time.perf_counter()
        draw_pose(image, result.overlay(0.0))
        observe("draw", time.perf_counter() - drawn_at)
        stages.setdefault("to verdict", []).append(taken / stages["inference"][-1] - 1)
        return taken

    figures = measure(step, clip)
    for name in ("to keypoints", "to verdict"):
        figures[name] = float(np.median(stages.pop(name)))
    return {**figures, "stages_ms": {stage: 1000 * float(np.median(values)) for stage, values in stages.items()}}


def movenet(model: Path, clip: str) -> dict[str, Any]:
    """What a user would write: resize, infer, draw."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    entry, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    side, dtype = int(entry["shape"][1]), entry["dtype"]

    def step(image: Any) -> float:
        captured_at = time.perf_counter()
        height, width = image.shape[:2]
        scale = side / max(height, width)
        small = cv2.resize(image, (round(width * scale), round(height * scale)))
        square = np.zeros((side, side, 3), np.uint8)
        top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
        square[top : top + small.shape[0], left : left + small.shape[1]] = small
        interpreter.set_tensor(entry["index"], cv2.cvtColor(square, cv2.COLOR_BGR2RGB)[None].astype(dtype))
        interpreter.invoke()
        points = interpreter.get_tensor(result["index"])[0, 0]
        keypoints = [((x * side - left) / scale, (y * side - top) / scale) for y, x, score in points if score > 0.3]
        taken = time.perf_counter() - captured_at
        for x, y in keypoints:
            cv2.circle(image, (int(x), int(y)), 4, (0, 255, 0), -1)
        return taken

    return measure(step, clip)


RUNNERS: Final = {"ours": ours, "movenet": movenet}

if __name__ == "__main__":
    kind, model_path, clip_path = sys.argv[1:]
    print(json.dumps(RUNNERS[kind](Path(model_path), clip_path)))
