#!/usr/bin/env python3
"""Whether the edge service on this machine is well: ready, fast enough, not restarting, running the bundle it should.

Runs on the Pi itself with nothing but Python, so that one command answers for a whole gate. Prints one line of JSON:
`problems` is empty when the gate is passed. With --look it tells at once which boot this is and where links lead; with
--measure how the service does, and nothing where none answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

LATENCY = "plumbline_edge_latency_seconds"
STAGES = "plumbline_edge_stage_latency_seconds"
INFERENCE = '{stage="inference"}'
STARTED = "plumbline_edge_frames_created"
"""When the service began to count. An emulated Pi's process_start_time_seconds is another in every thread."""
_SAMPLE = re.compile(r"^([a-z_]+)(\{[^}]*\})? (\S+)$", re.MULTILINE)
_BUCKET = re.compile(r'le="([^"]+)"')
LOOK_SECONDS = 1.0

Samples = dict[str, float]


class Unwell(Exception):
    """Something that no second look would mend."""


@dataclass(frozen=True)
class Limits:
    """What a Pi must reach; None where there is nothing to compare with."""

    min_fps: float
    max_slowdown: float
    slack_seconds: float
    fps_before: float | None
    p95_before: float | None
    budget_seconds: float | None


@dataclass
class Look:
    """What was seen in one window."""

    version: str = ""
    manifest_sha256: str = ""
    fps: float = 0.0
    p95_seconds: float = 0.0
    inference_p50_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def samples_of(text: str) -> Samples:
    """Prometheus' text format as name with labels -> value."""
    return {f"{name}{labels}": float(value) for name, labels, value in _SAMPLE.findall(text)}


def quantile(before: Samples, after: Samples, histogram: str, q: float, labels: str = "") -> float:
    """The q-quantile of what a histogram counted between two scrapes, as Prometheus computes it; 0 without any."""
    counts: list[tuple[float, float]] = []
    for name, value in after.items():
        bound = _BUCKET.search(name)
        if name.startswith(f"{histogram}_bucket") and bound and labels.strip("{}") in name:
            counts.append((float(bound[1]), value - before.get(name, 0.0)))
    counts.sort()
    if not counts or counts[-1][1] <= 0:
        return 0.0
    rank, low, below = q * counts[-1][1], 0.0, 0.0
    for high, count in counts:
        if count >= rank:
            return low if high == float("inf") else low + (high - low) * (rank - below) / max(count - below, 1e-9)
        low, below = high, count
    return low


def problems_of(look: Look, limits: Limits) -> list[str]:
    """What is too slow."""
    found = []
    if look.fps < limits.min_fps:
        found.append(f"{look.fps:.2f} FPS, at least {limits.min_fps:g} are wanted")
    if limits.fps_before and look.fps * limits.max_slowdown < limits.fps_before:
        found.append(f"{look.fps:.2f} FPS, it was {limits.fps_before:.2f} before")
    if limits.p95_before and look.p95_seconds > limits.p95_before * limits.max_slowdown + limits.slack_seconds:
        found.append(f"p95 latency {look.p95_seconds:.3f} s, it was {limits.p95_before:.3f} s before")
    if limits.budget_seconds and look.inference_p50_seconds > limits.budget_seconds:
        found.append(
            f"an inference takes {look.inference_p50_seconds:.3f} s, the bundle's budget is {limits.budget_seconds:g} s"
        )
    return found


def active_bundle(folder: Path) -> tuple[str, str, float | None]:
    """Version, manifest digest and latency budget of the active bundle. Raises Unwell."""
    try:
        text = (folder / "active" / "manifest.json").read_bytes()
        manifest = json.loads(text)
        return manifest["version"], hashlib.sha256(text).hexdigest(), manifest["golden"].get("latency_budget_seconds")
    except (OSError, ValueError, KeyError) as error:
        raise Unwell(f"no bundle is active in {str(folder)!r} ({error})") from error


def fetch(url: str) -> str:
    """The text at an address of the service. Raises OSError."""
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (the address is the operator's)
        return str(answer.read().decode())


def wait_until_ready(url: str, sha256: str, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return once /readyz says 200 and the bundle with this digest runs. Raises Unwell."""
    deadline = time.monotonic() + seconds
    while problem := _not_ready(url, sha256):
        if time.monotonic() > deadline:
            raise Unwell(f"not ready after {seconds:g} s: {problem}")
        sleep(LOOK_SECONDS)


def _not_ready(url: str, sha256: str) -> str | None:
    try:
        fetch(f"{url}/readyz")
        metrics = fetch(f"{url}/metrics")
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode(errors='replace')[:200]}"
    except OSError as error:
        return f"{url} does not answer ({error})"
    running = re.search(r'^plumbline_edge_bundle_info\{[^}]*manifest_sha256="([0-9a-f]+)"', metrics, re.MULTILINE)
    if running is None or running[1] != sha256:
        return f"it runs {running[1][:12] if running else 'no bundle'}, active is {sha256[:12]}"
    return None


def look_for(url: str, seconds: float, sleep: Callable[[float], None] = time.sleep) -> Look:
    """Measure over a window. Raises Unwell when the service ends in it, OSError when it does not answer at first."""
    first, begun = samples_of(fetch(f"{url}/metrics")), time.monotonic()
    while time.monotonic() - begun < seconds:
        sleep(min(LOOK_SECONDS, seconds))
        try:
            last = samples_of(fetch(f"{url}/metrics"))
        except OSError as error:
            raise Unwell(f"stopped answering {time.monotonic() - begun:.0f} s into the watch ({error})") from error
        if last[STARTED] != first[STARTED]:
            raise Unwell(f"ended and was started again within {time.monotonic() - begun:.0f} s of the watch")
    frames = last["plumbline_edge_frames_total"] - first["plumbline_edge_frames_total"]
    return Look(
        fps=round(frames / (time.monotonic() - begun), 2),
        p95_seconds=round(quantile(first, last, LATENCY, 0.95), 4),
        inference_p50_seconds=round(quantile(first, last, STAGES, 0.5, INFERENCE), 4),
    )


def measure(url: str, seconds: float) -> Look | None:
    """How the service does now; None where there is none, or none that lasts."""
    try:
        return look_for(url, seconds)
    except (OSError, Unwell):
        return None


def boot() -> str:
    """Another string after every boot, of a container too, whose kernel goes on."""
    first_process = Path("/proc/1/stat").read_text().rsplit(")", 1)[1].split()
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}:{first_process[19]}"


def is_updating() -> bool:
    """Whether the Pi's own update runs; that of a oneshot unit is *activating* until it ends."""
    show = ["systemctl", "show", "--property=ActiveState", "--value", "plumbline-update.service"]
    try:
        state = subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return False
    return state in ("activating", "active", "deactivating")


def targets(links: list[str]) -> dict[str, str]:
    """NAME=PATH -> where the link at PATH leads, by NAME; empty where there is none."""
    named = [(name, Path(path)) for name, _, path in (link.partition("=") for link in links)]
    return {name: str(path.resolve()) if path.is_symlink() else "" for name, path in named}


def gate(arguments: argparse.Namespace) -> Look:
    """Wait, then watch for as many windows as it takes to see a good one."""
    look = Look()
    try:
        version, sha256, budget = active_bundle(arguments.state)
        limits = Limits(
            arguments.min_fps,
            arguments.max_slowdown,
            arguments.slack_seconds,
            arguments.fps_before,
            arguments.p95_before,
            budget,
        )
        wait_until_ready(arguments.url, sha256, arguments.ready_seconds)
        for _ in range(arguments.windows):
            look = look_for(arguments.url, arguments.window_seconds)
            look.version, look.manifest_sha256, look.problems = version, sha256, problems_of(look, limits)
            if not look.problems:
                break
    except (Unwell, OSError) as error:
        look.problems = [str(error)]
    return look


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/plumbline"))
    parser.add_argument("--look", action="store_true", help="only say which boot this is, and where links lead")
    parser.add_argument(
        "--link", metavar="NAME=PATH", action="append", default=[], help="with --look; as often as needed"
    )
    parser.add_argument("--measure", action="store_true", help="only measure how it does")
    parser.add_argument("--ready-seconds", type=float, default=60)
    parser.add_argument("--window-seconds", type=float, default=15)
    parser.add_argument("--windows", type=int, default=3, help="looks at most: a busy moment is no slow bundle")
    parser.add_argument("--min-fps", type=float, default=1)
    parser.add_argument("--max-slowdown", type=float, default=1.5)
    parser.add_argument("--slack-seconds", type=float, default=0.02)
    parser.add_argument("--fps-before", type=float)
    parser.add_argument("--p95-before", type=float)
    arguments = parser.parse_args()
    if arguments.look:
        print(json.dumps({"boot": boot(), "links": targets(arguments.link), "updating": is_updating()}))
    elif arguments.measure:
        look = measure(arguments.url, arguments.window_seconds)
        print(json.dumps({} if look is None else asdict(look)))
    else:
        print(json.dumps(asdict(gate(arguments))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
