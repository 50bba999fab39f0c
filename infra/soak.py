"""`make soak`: the edge service for half an hour at full rate from an RTSP camera, then with one cut again and again.

The first part fails when memory grows by 1% or more, when a thread or file descriptor is leaked, or when the slowest
seconds fall short; the second when the service does not come back after each cut.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import httpx
from infra.edge_service import edge_service

ROOT: Final = Path(__file__).parent.parent
WARM_UP_SECONDS: Final = 60.0
CUT_EVERY_SECONDS: Final = 10.0
CUT_SECONDS: Final = 2.0
RECOVERY_SECONDS: Final = 8.0


def write_pictures(clip: Path, folder: Path) -> None:
    """The clip's frames as JPEG."""
    capture, index = cv2.VideoCapture(str(clip)), 0
    while (read := capture.read())[0]:
        cv2.imwrite(str(folder / f"{index:05d}.jpg"), read[1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        index += 1


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def camera(port: int, folder: Path) -> Iterator[None]:
    """The RTSP camera, killed at the end as by a pulled plug."""
    command = ["/usr/bin/python3", str(ROOT / "infra" / "lab" / "rtsp_camera.py"), str(port), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if process.stdout is None or process.stdout.readline().strip() != "ready":
        sys.exit("error: the camera did not start; see the packages named in infra/lab/rtsp_camera.py")
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Sample:
    """One second of the service."""

    fps: float
    rss_bytes: int
    threads: int
    descriptors: int


def sample(url: str, pid: int, frames_before: float) -> tuple[Sample, float]:
    """The service now; FPS from the frame counter over the second since `frames_before`."""
    metrics = httpx.get(f"{url}/metrics", timeout=5).text
    frames = value(metrics, "plumbline_edge_frames_total")
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    numbers = {key: int(re.search(rf"^{key}:\s+(\d+)", status, re.MULTILINE)[1]) for key in ("VmRSS", "Threads")}  # type: ignore[index]
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(frames - frames_before, 1024 * numbers["VmRSS"], numbers["Threads"], descriptors), frames


def value(metrics: str, name: str) -> float:
    """A metric without labels."""
    found = re.search(rf"^{name} (\S+)", metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0


def steady(url: str, pid: int, minutes: float) -> list[Sample]:
    """A sample a second."""
    time.sleep(WARM_UP_SECONDS)
    samples: list[Sample] = []
    _, frames = sample(url, pid, 0)
    next_at = time.monotonic()
    while len(samples) < 60 * minutes:
        next_at += 1
        time.sleep(max(0.0, next_at - time.monotonic()))
        taken, frames = sample(url, pid, frames)
        samples.append(taken)
        if len(samples) % 60 == 0:
            rss_mb = taken.rss_bytes / 1e6
            print(f"{len(samples) // 60:3d} min  {taken.fps:5.1f} FPS  RSS {rss_mb:6.1f} MB  {taken.threads} threads")
    return samples


def judge(samples: list[Sample]) -> list[str]:
    """What is wrong with the first part, by medians of its first and last tenth: a request opens a descriptor too."""
    tenth = max(1, len(samples) // 10)
    first, last = samples[:tenth], samples[-tenth:]
    rss, threads, descriptors = (
        [statistics.median(getattr(item, name) for item in part) for part in (first, last)]
        for name in ("rss_bytes", "threads", "descriptors")
    )
    fps = sorted(item.fps for item in samples)
    median, p5 = statistics.median(fps), fps[len(fps) // 20]
    print(f"RSS {rss[0] / 1e6:.1f} -> {rss[1] / 1e6:.1f} MB ({100 * (rss[1] / rss[0] - 1):+.2f}%), "
          f"FPS median {median:.1f}, p5 {p5:.1f}, threads {threads[0]:g} -> {threads[1]:g}, "
          f"descriptors {descriptors[0]:g} -> {descriptors[1]:g}")  # fmt: skip
    wrong = []
    if rss[1] >= 1.01 * rss[0]:
        wrong.append("memory grew by 1% or more")
    if threads[1] > threads[0] or descriptors[1] > descriptors[0]:
        wrong.append("a thread or file descriptor was leaked")
    if p5 < 0.9 * median:
        wrong.append("the slowest seconds are more than 10% below the median")
    return wrong


def cuts(url: str, port: int, folder: Path, minutes: float) -> list[str]:
    """Cut the camera and look for frames after each return; what is wrong with that."""
    recovered: list[float] = []
    wanted = max(1, round(60 * minutes / CUT_EVERY_SECONDS))
    for number in range(1, wanted + 1):
        time.sleep(CUT_SECONDS)
        with camera(port, folder):
            back_at = time.monotonic()
            before = value(httpx.get(f"{url}/metrics", timeout=5).text, "plumbline_edge_frames_total")
            while value(httpx.get(f"{url}/metrics", timeout=5).text, "plumbline_edge_frames_total") <= before:
                if time.monotonic() - back_at > RECOVERY_SECONDS:
                    return [f"no frame within {RECOVERY_SECONDS:g} s of the camera's return, cut {number} of {wanted}"]
                time.sleep(0.05)
            recovered.append(time.monotonic() - back_at)
            time.sleep(max(0.0, CUT_EVERY_SECONDS - CUT_SECONDS - (time.monotonic() - back_at)))
    print(f"{wanted} cuts, back after a median of {statistics.median(recovered):.1f} s, at most {max(recovered):.1f} s")
    return []


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "hrnet-edge-s")
    parser.add_argument("--clip", type=Path, default=ROOT / "samples" / "squats.mp4")
    parser.add_argument("--minutes", type=float, default=30.0, help="of steady running (default 30)")
    parser.add_argument("--cut-minutes", type=float, default=5.0, help="of a camera cut every 10 s (default 5)")
    arguments = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as plugged:
        folder = Path(name)
        write_pictures(arguments.clip, folder)
        plugged.enter_context(camera(port, folder))
        with edge_service(arguments.bundle, f"rtsp://127.0.0.1:{port}/camera") as (url, pid):
            wrong = judge(steady(url, pid, arguments.minutes)) if arguments.minutes else []
            plugged.close()
            wrong += cuts(url, port, folder, arguments.cut_minutes) if arguments.cut_minutes else []
    sys.exit("\n".join(f"error: {item}" for item in wrong) or 0)


if __name__ == "__main__":
    main()
