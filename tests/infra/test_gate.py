"""gate.py, as a rollout runs it on a Pi, against a service that does well or not."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.infra.machine import ROOT
from tests.infra.servers import answering

GATE = ROOT / "infra/ansible/roles/edge_gate/files/gate.py"
MANIFEST = b'{"version": "1.2.3", "golden": {"latency_budget_seconds": 0.05}}'
SHA256 = hashlib.sha256(MANIFEST).hexdigest()
Answer = Callable[[str, int], tuple[int, str]]
"""Path and number of the scrape -> status and text."""


@pytest.fixture(scope="module")
def gate() -> ModuleType:
    specification = importlib.util.spec_from_file_location("plumbline_gate", GATE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["plumbline_gate"] = module
    specification.loader.exec_module(module)
    return module


def metrics(frames: int, latency_bucket: float, started: float = 100.0, sha256: str = SHA256) -> str:
    """What the edge would say after so many frames that all took up to `latency_bucket` seconds."""
    lines = [f"plumbline_edge_frames_created {started}", f"plumbline_edge_frames_total {frames}"]
    lines.append(f'plumbline_edge_bundle_info{{manifest_sha256="{sha256}",version="1.2.3"}} 1.0')
    for bound in (0.01, 0.1, 1.0):
        count = frames if bound >= latency_bucket else 0
        lines.append(f'plumbline_edge_latency_seconds_bucket{{le="{bound}"}} {count}')
        lines.append(f'plumbline_edge_stage_latency_seconds_bucket{{le="{bound}",stage="inference"}} {count}')
        lines.append(f'plumbline_edge_stage_latency_seconds_bucket{{le="{bound}",stage="coach"}} {frames}')
    return "\n".join(lines) + "\n"


@contextmanager
def service(answer: Answer) -> Iterator[str]:
    scrapes = 0

    def respond(path: str) -> tuple[int, str]:
        nonlocal scrapes
        scrapes += path == "/metrics"
        return answer(path, scrapes)

    with answering(respond) as url:
        yield url


def run(url: str, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    (tmp_path / "active").mkdir(exist_ok=True)
    (tmp_path / "active/manifest.json").write_bytes(MANIFEST)
    options = ["--url", url, "--state", str(tmp_path), "--ready-seconds", "0", "--window-seconds", "0.2", *arguments]
    done = subprocess.run([sys.executable, GATE, *options], capture_output=True, text=True, check=True)
    look: dict[str, Any] = json.loads(done.stdout)
    return look


def test_good_service_passes(tmp_path: Path) -> None:
    with service(lambda path, scrape: (200, metrics(10 * scrape, 0.01))) as url:
        look = run(url, tmp_path, "--fps-before", "20", "--p95-before", "0.01")
    assert look["problems"] == []
    assert (look["version"], look["manifest_sha256"]) == ("1.2.3", SHA256)
    assert look["fps"] > 20
    assert look["p95_seconds"] == pytest.approx(0.0095)


def test_slow_bundle_is_told_by_latency_before_and_by_its_budget(tmp_path: Path) -> None:
    with service(lambda path, scrape: (200, metrics(10 * scrape, 1.0))) as url:
        look = run(url, tmp_path, "--p95-before", "0.05", "--windows", "2")
    assert look["problems"] == [
        "p95 latency 0.955 s, it was 0.050 s before",
        "an inference takes 0.550 s, the bundle's budget is 0.05 s",
    ]


def test_busy_moment_is_looked_at_again(tmp_path: Path) -> None:
    def answer(path: str, scrape: int) -> tuple[int, str]:
        # Nothing moves in the first window; the frames of the second make up for it.
        return 200, metrics(0 if scrape < 4 else 50 * scrape, 0.01)

    with service(answer) as url:
        assert run(url, tmp_path, "--windows", "1")["problems"] == ["0.00 FPS, at least 1 are wanted"]
        assert run(url, tmp_path, "--windows", "3")["problems"] == []


def test_fewer_frames_than_before_fail(tmp_path: Path) -> None:
    with service(lambda path, scrape: (200, metrics(scrape, 0.01))) as url:
        look = run(url, tmp_path, "--fps-before", "1000")
    assert "it was 1000.00 before" in look["problems"][0]


def test_restart_within_the_watch_fails(tmp_path: Path) -> None:
    with service(lambda path, scrape: (200, metrics(10 * scrape, 0.01, started=100.0 * scrape))) as url:
        look = run(url, tmp_path)
    assert "ended and was started again" in look["problems"][0]


def test_not_ready_and_another_bundle_fail(tmp_path: Path) -> None:
    with service(lambda path, scrape: (503, "no frame has gone through the model yet")) as url:
        assert "503 no frame has gone" in run(url, tmp_path)["problems"][0]
    with service(lambda path, scrape: (200, metrics(10, 0.01, sha256="0" * 64))) as url:
        assert "it runs 000000000000, active is" in run(url, tmp_path)["problems"][0]


def test_nothing_that_answers_is_no_measurement(tmp_path: Path) -> None:
    assert run("http://127.0.0.1:1", tmp_path, "--measure") == {}
    assert "does not answer" in run("http://127.0.0.1:1", tmp_path)["problems"][0]


def test_look_tells_where_links_lead(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("releases/a")
    (tmp_path / "file").touch()
    links = [f"--link={name}={tmp_path / name}" for name in ("current", "previous", "file")]
    look = run("http://127.0.0.1:1", tmp_path, "--look", *links)
    assert look["links"] == {"current": f"{tmp_path}/releases/a", "previous": "", "file": ""}


@pytest.mark.parametrize(("state", "updating"), [("activating", True), ("inactive", False), ("", False)])
def test_look_tells_whether_the_pi_updates_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, updating: bool
) -> None:
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\ncase "$*" in *plumbline-update.service*) echo {state};; esac\n')
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run("http://127.0.0.1:1", tmp_path, "--look")["updating"] is updating


def test_every_boot_has_its_own_name(tmp_path: Path) -> None:
    """Of this machine, which was not booted in between: the kernel's boot and its first process' start."""
    first = run("http://127.0.0.1:1", tmp_path, "--look")
    kernel, _, began = first["boot"].partition(":")
    assert kernel == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert int(began) >= 0
    assert run("http://127.0.0.1:1", tmp_path, "--look") == first


def test_quantile_is_that_of_prometheus(gate: ModuleType) -> None:
    """histogram_quantile(0.95) of 10 in (0.1, 1] is 0.1 + 0.9 * 0.95; labels other than `le` choose the series."""
    before, after = gate.samples_of(metrics(5, 1.0)), gate.samples_of(metrics(15, 1.0))
    assert gate.quantile(before, after, gate.LATENCY, 0.95) == pytest.approx(0.1 + 0.9 * 0.95)
    assert gate.quantile(before, after, gate.STAGES, 0.5, '{stage="coach"}') == pytest.approx(0.005)
    assert gate.quantile(after, after, gate.LATENCY, 0.95) == 0.0
