"""A running service for tests: the process, its address and its end."""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.edge.dots import DOTS_FP32

CHANGE = {"X-Plumbline": "1"}
"""What every request that changes something carries."""


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[str]
    url: str

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=5)

    def change(self, method: str, path: str, body: object = None) -> httpx.Response:
        return httpx.request(method, self.url + path, json=body, headers=CHANGE, timeout=20)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/state").json()
        return found

    def wait_until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the service did not get there in time"
            assert self.process.poll() is None, "the service ended"
            time.sleep(0.05)

    def terminate(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out


@contextmanager
def service(
    *arguments: str | Path, environment: dict[str, str] | None = None, bundle: Path | None = DOTS_FP32
) -> Iterator[Service]:
    chosen: list[str | Path] = [] if bundle is None else ["--bundle", bundle]
    where = [] if "--port" in arguments else ["--port", "0"]
    command = [sys.executable, "-m", "plumbline_edge", "run", *chosen, *where, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        found = next((match for line in lines if (match := re.match(r"page    (http://\S+?)/$", line.strip()))), None)
        assert found is not None
        yield Service(process, found[1])
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@dataclass(frozen=True)
class LiveMessage:
    """A message of /api/live."""

    content: dict[str, Any]
    jpeg: bytes


def live_messages(url: str) -> Iterator[LiveMessage]:
    """The messages as they come, until the caller stops asking."""
    with httpx.stream("GET", f"{url}/api/live", timeout=20) as response:
        assert response.headers["content-type"] == "application/x-plumbline-live"
        had = b""
        for block in response.iter_raw():
            had += block
            while len(had) >= 8:
                text, jpeg = struct.unpack(">II", had[:8])
                if len(had) < 8 + text + jpeg:
                    break
                yield LiveMessage(json.loads(had[8 : 8 + text]), had[8 + text : 8 + text + jpeg])
                had = had[8 + text + jpeg :]
