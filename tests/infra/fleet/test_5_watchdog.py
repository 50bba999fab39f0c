"""A service that hangs or is stopped is running again within 15 s, by the role's own settings of systemd's watchdog."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
import yaml
from tests.infra.fleet.fleet import CANARY, Fleet
from tests.infra.machine import ROOT, wait_for

pytestmark = [pytest.mark.fleet, pytest.mark.fleet_long, pytest.mark.fleet_one_pi]

WITHIN_SECONDS = 15.0
RUNTIME = "/opt/plumbline/current/venv/lib/python3*/site-packages/plumbline_edge/runtime.py"
HANG_FILE = "/srv/plumbline/hang"
HANGS = f"""
_infer = LiteRTModel.infer


def _hanging(self, tensor_NHWC):
    import threading

    if Path("{HANG_FILE}").exists():
        threading.Event().wait()
    return _infer(self, tensor_NHWC)


LiteRTModel.infer = _hanging
"""
"""Appended to the Pi's runtime.py: an inference begun while the file is there never ends."""


@pytest.fixture
def watched(fleet: Fleet) -> Iterator[None]:
    """The canary with the watchdog that the role gives by default, which the other tests lengthen."""
    defaults = yaml.safe_load((ROOT / "infra/ansible/roles/edge_app/defaults/main.yml").read_text())
    lines = ["[Service]"]
    for key, name in (("WatchdogSec", "watchdog"), ("TimeoutAbortSec", "abort"), ("RestartSec", "restart")):
        lines.append(f"{key}={defaults[f'edge_app_{name}_seconds']}")
    folder = "/run/systemd/system/plumbline-edge.service.d"
    drop_in = "\n".join(lines)
    CANARY.ssh(f"sudo mkdir -p {folder}; printf '{drop_in}\n' | sudo tee {folder}/defaults.conf >/dev/null")
    _restart()
    yield
    CANARY.ssh(f"sudo rm -r {folder}")
    _restart()


def _restart() -> None:
    before = CANARY.metric("process_start_time_seconds")
    CANARY.ssh("sudo systemctl daemon-reload && sudo systemctl restart --no-block plumbline-edge")
    wait_for("the service to run again", lambda: CANARY.is_ready_since(before))


def _seconds_until_back(stopped_at: float, before: float) -> float:
    while time.monotonic() - stopped_at < 60:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{CANARY.url}/readyz", timeout=1).status_code == 200 and CANARY.is_ready_since(before):
                return time.monotonic() - stopped_at
        time.sleep(0.1)
    raise AssertionError("the service did not come back within a minute")


def test_stopped_process_is_replaced(watched: None) -> None:
    before = CANARY.metric("process_start_time_seconds")
    CANARY.ssh("sudo kill -STOP $(systemctl show -P MainPID plumbline-edge)")
    seconds = _seconds_until_back(time.monotonic(), before)
    print(f"\nstopped process: a new one is ready after {seconds:.1f} s")
    assert seconds < WITHIN_SECONDS


def test_hung_inference_is_ended(watched: None) -> None:
    CANARY.ssh(f"sudo cp --preserve=all $(ls {RUNTIME}) /root/runtime.py")
    try:
        CANARY.ssh(f"sudo tee -a $(ls {RUNTIME}) >/dev/null <<'END'\n{HANGS}\nEND")
        _restart()
        before = CANARY.metric("process_start_time_seconds")
        CANARY.ssh(f"sudo touch {HANG_FILE}")
        stopped_at = time.monotonic()
        frames = -1.0
        while (now := CANARY.metric("plumbline_edge_frames_total")) != frames:
            frames = now
            time.sleep(1.2)
        CANARY.ssh(f"sudo rm {HANG_FILE}")
        assert CANARY.metric("process_start_time_seconds") == before, "it was replaced before it was seen to hang"
        seconds = _seconds_until_back(stopped_at, before)
    finally:
        CANARY.ssh(f"sudo rm -f {HANG_FILE}; sudo mv /root/runtime.py $(ls {RUNTIME})")
        _restart()
    print(f"\nhung inference: a new process is ready after {seconds:.1f} s")
    assert seconds < WITHIN_SECONDS
