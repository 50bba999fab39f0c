"""`make bench-edge`: our pipeline on a 720p clip beside a plain loop with MoveNet and, where given, MediaPipe Pose.

Every contestant reads the same file in a process of its own, one after the other, with inference on one thread, in so
many rounds, of which the medians are shown. Latencies are from a decoded frame to its keypoints (ours: to the coach's
verdict). The last two columns are what ours takes beside inference, as a share of inference: from the frame to smoothed
keypoints, and to the coach's verdict. Figures of one run are comparable with each other alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import cv2
from infra.bench_edge_runners import MEDIAPIPE, RUNNERS

ROOT: Final = Path(__file__).parent.parent
SIZE: Final = (1280, 720)
MAX_FRAMES: Final = 300


def clip_720p(clip: Path, folder: Path) -> Path:
    """The clip's first frames at 1280x720, as an mp4."""
    capture, path = cv2.VideoCapture(str(clip)), folder / "720p.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, SIZE)
    frames = 0
    while frames < MAX_FRAMES and (read := capture.read())[0]:
        writer.write(cv2.resize(read[1], SIZE, interpolation=cv2.INTER_LINEAR))
        frames += 1
    writer.release()
    if frames == 0:
        sys.exit(f"error: {str(clip)!r} is no video; name one with --clip")
    return path


def run(command: list[str]) -> dict[str, Any]:
    """One contestant's figures, which it prints last."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)}:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def contestants(arguments: argparse.Namespace, clip: Path) -> dict[str, list[str]]:
    """Name and command of each."""
    runner = [sys.executable, "-m", "infra.bench_edge_runners"]
    commands = {f"plumbline, {path.name}": [*runner, "ours", str(path), str(clip)] for path in arguments.bundle}
    commands |= {f"plain loop, {path.stem}": [*runner, "movenet", str(path), str(clip)] for path in arguments.movenet}
    if arguments.mediapipe_python is not None:
        commands["MediaPipe Pose, full"] = [str(arguments.mediapipe_python), "-c", MEDIAPIPE, str(clip)]
    return commands


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make bench-edge", description=__doc__)
    parser.add_argument("--bundle", type=Path, nargs="+", default=[ROOT / "models" / "hrnet-edge-s"])
    parser.add_argument("--movenet", type=Path, nargs="*", default=[], help="MoveNet .tflite files")
    parser.add_argument("--mediapipe-python", type=Path, help="a Python that has mediapipe<0.10.30")
    parser.add_argument("--clip", type=Path, default=ROOT / "samples" / "squats.mp4")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = contestants(arguments, clip_720p(arguments.clip, Path(folder)))
        rounds = [{name: run(command) for name, command in commands.items()} for _ in range(arguments.repeat)]
    print(
        f"{platform.processor() or platform.machine()}, {arguments.repeat} rounds, medians; runners {sorted(RUNNERS)}"
    )
    print("| pipeline | FPS | p50 ms | p95 ms | CPU ms a frame | RSS MB | to keypoints | to verdict |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in commands:
        figures = {key: [turn[name][key] for turn in rounds] for key in rounds[0][name] if key != "stages_ms"}
        middle = {key: statistics.median(values) for key, values in figures.items() if None not in values}
        shares = [f"{middle[key]:.3f}" if key in middle else "" for key in ("to keypoints", "to verdict")]
        print(
            f"| {name} | {middle['fps']:.1f} | {middle['p50_ms']:.1f} | {middle['p95_ms']:.1f}"
            f" | {middle['cpu_ms']:.1f} | {middle['rss_mb']:.0f} | {' | '.join(shares)} |"
        )
    for name, last in rounds[-1].items():
        if stages := last.get("stages_ms"):
            print(
                f"{name}, CPU ms a frame by stage: " + ", ".join(f"{key} {value:.2f}" for key, value in stages.items())
            )


if __name__ == "__main__":
    main()
