"""Stand-in Pis, and the playbook run on them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
from tests.infra.machine import CACHE, ROOT, program, wait_for

PI = ROOT / "infra/lab/pi.sh"
HOST_IP = "10.79.0.1"
PI_PYTHON = "3.11"
ANSIBLE = ROOT / "infra/ansible"
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Pi:
    """One stand-in Pi."""

    name: str
    ip: str

    @property
    def url(self) -> str:
        return f"http://{self.ip}:8080"

    def ssh(self, command: str) -> str:
        """Run a command on it. Raises CalledProcessError."""
        done = subprocess.run([str(PI), "ssh", self.name, command], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def copy(self, file: Path, path: str) -> None:
        """Put a file there, readable by all."""
        with file.open("rb") as content:
            command = f"sudo install -D -m 644 /dev/stdin {path}"
            subprocess.run([str(PI), "ssh", self.name, command], stdin=content, check=True)

    def metric(self, name: str) -> float:
        """The value of a metric without labels, from outside."""
        found = re.search(rf"^{name} (\S+)$", self.metrics(), re.MULTILINE)
        assert found, f"{self.url}/metrics has no {name}"
        return float(found[1])

    def metrics(self) -> str:
        return httpx.get(f"{self.url}/metrics").raise_for_status().text

    def bundle_version(self) -> str:
        found = re.search(r'plumbline_edge_bundle_info\{[^}]*version="([^"]+)"', self.metrics())
        assert found, f"{self.url}/metrics names no bundle"
        return found[1]

    def settles_on(self, version: str, timeout_seconds: float = 90) -> None:
        """Wait until it is ready with this bundle. Raises AssertionError."""

        def there() -> bool:
            return self.is_ready() and self.bundle_version() == version

        wait_for(f"{self.name} to be ready with {version}", there, timeout_seconds)

    def is_ready_since(self, start_time_seconds: float) -> bool:
        """Whether a service that began after that is ready."""
        return self.is_ready() and self.metric("process_start_time_seconds") > start_time_seconds

    def is_held(self) -> bool:
        """Whether it takes nothing by itself."""
        return self.ssh("sudo test -e /etc/plumbline/hold && echo held || echo free") == "held"

    def is_ready(self) -> bool:
        return httpx.get(f"{self.url}/readyz").status_code == 200


@contextlib.contextmanager
def booted(*pis: Pi, architecture: str = "amd64", alone: bool = True) -> Iterator[None]:
    """The Pis, booted from the cached root filesystem and gone afterwards with all that was written to them."""
    if alone:
        subprocess.run([str(PI), "down-all"], check=True)
    try:
        for pi in pis:
            subprocess.run([str(PI), "up", pi.name, pi.ip, architecture], check=True)
        yield
    finally:
        subprocess.run([str(PI), "down-all"], check=True)


def wheelhouse(part: str = "edge", machine: str = "") -> Path:
    """Wheels of all that a part needs on a stand-in, downloaded once for each state of its lock."""
    lock = ROOT / f"requirements/{part}-py{PI_PYTHON.replace('.', '')}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    folder = CACHE / f"wheelhouse{f'-{machine}' if machine else ''}-{digest}"
    if not folder.exists():
        part_folder = folder.with_suffix(".part")
        shutil.rmtree(part_folder, ignore_errors=True)
        chosen = ["--only-binary=:all:", f"--python-version={PI_PYTHON}", "--no-deps"]
        if machine:
            platforms = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
            chosen += [f"--platform={platform}_{machine}" for platform in platforms]
        chosen += ["--requirement", str(lock), "--dest", str(part_folder)]
        command = [sys.executable, "-m", "pip", "download", *chosen]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        part_folder.rename(folder)
    return folder


@dataclass(frozen=True)
class Run:
    """How a run of the playbook ended."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> dict[str, int]:
        """Host -> tasks that changed something."""
        return {host: int(changed) for host, _, changed, _, _ in _RECAP.findall(self.output)}

    @property
    def failed(self) -> dict[str, int]:
        """Host -> tasks that failed."""
        return {host: int(failed) for host, _, _, _, failed in _RECAP.findall(self.output)}


def slow_clip(clip: Path, out: Path, frames_per_second: float) -> Path:
    """The clip at so many frames a second, so that several Pis share this machine without one starving another."""
    video = cv2.VideoCapture(str(clip))
    size = (int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    keep_every = round(video.get(cv2.CAP_PROP_FPS) / frames_per_second)
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"mp4v"), frames_per_second, size)
    frames = 0
    while video.grab():
        if frames % keep_every == 0:
            writer.write(video.retrieve()[1])
        frames += 1
    writer.release()
    assert frames > 0, f"{clip} has no frames"
    return out


def play(playbook: str, inventory: Path, *arguments: str) -> Run:
    """Run a playbook as an operator would, from its folder."""
    begun = time.monotonic()
    done = subprocess.run(
        [program("ansible-playbook"), "-i", str(inventory), playbook, *arguments],
        cwd=ANSIBLE,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    return Run(done.returncode, done.stdout + done.stderr, time.monotonic() - begun)
