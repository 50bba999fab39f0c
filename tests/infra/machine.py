"""This machine, as the infrastructure tests use it: programs, ports, servers that end with their block."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plumbline"
LAB = Path(os.environ.get("PLUMBLINE_LAB") or CACHE / "lab")


def program(name: str) -> str:
    """A program beside this Python, else on the PATH. Fails loudly: a check that can't run is no pass."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed; see infra/README.md for what the infrastructure tests need"
    return found


def require_root_and(*names: str) -> None:
    """Fail with everything that is missing."""
    missing = [name for name in names if shutil.which(name) is None]
    assert not missing, f"missing programs: {', '.join(missing)}; see infra/README.md for their packages"
    assert os.geteuid() == 0, "the lab makes namespaces, mounts and root filesystems; run it as root"


def wait_for(what: str, condition: Callable[[], Any], timeout_seconds: float = 180) -> Any:
    """The first true value of `condition`; a server that can't be reached or is not ready (5xx) counts as not yet."""
    deadline = time.monotonic() + timeout_seconds
    last: httpx.HTTPError | None = None
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except httpx.TransportError as error:
            last = error
        except httpx.HTTPStatusError as error:
            if not error.response.is_server_error:
                raise
            last = error
        time.sleep(0.5)
    raise AssertionError(f"waited {timeout_seconds:.0f} s in vain for {what}") from last


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold the lab's network or engine alone: a second run on this machine waits for the first."""
    LAB.mkdir(parents=True, exist_ok=True)
    with (LAB / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def running(arguments: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A server for as long as the block lasts; its output goes to `log`."""
    with log.open("wb") as output, subprocess.Popen(arguments, stdout=output, stderr=output, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
