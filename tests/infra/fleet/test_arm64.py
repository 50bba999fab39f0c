"""An emulated Pi with a Pi's processor takes the same playbooks from the same shape of inventory.

Emulated time says nothing of a Pi's speed, so what the gate asks of it is generous.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.infra.fleet.fleet import (
    BUNDLE,
    CANARY,
    CLIP,
    CLIP_ON_PI,
    HUB,
    SHIPPED,
    Fleet,
    copy_of_bundle,
    write_inventory,
)
from tests.infra.fleet.pis import booted, slow_clip, wheelhouse
from tests.infra.machine import exclusive, require_root_and, wait_for

pytestmark = pytest.mark.fleet_arm64


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One aarch64 Pi, and a server of this machine's own kind."""
    require_root_and("systemd-nspawn", "debootstrap", "ssh", "ip", "qemu-aarch64-static")
    folder = tmp_path_factory.mktemp("fleet")
    with exclusive("fleet"), booted(HUB), booted(CANARY, architecture="arm64", alone=False):
        CANARY.copy(slow_clip(CLIP, folder / "clip.mp4", 1.0), CLIP_ON_PI)
        patient = {
            "edge_app_wheelhouse": str(wheelhouse(machine="aarch64")),
            "edge_app_watchdog_seconds": 120,
            "edge_app_start_seconds": 300,
            "edge_gate_ready_seconds": 240,
            "edge_gate_window_seconds": 20,
            "edge_gate_min_fps": 0.1,
            "edge_gate_max_slowdown": 20,
        }
        write_inventory(folder, (CANARY,), **patient)
        yield Fleet(folder)


def test_site_yml_brings_it_to_life(emulated: Fleet) -> None:
    assert CANARY.ssh("uname -m") == "aarch64"
    run = emulated.play("site.yml", "--limit", HUB.name)
    assert run.code == 0, run.output
    emulated.publish(BUNDLE)
    run = emulated.play("site.yml", "--limit", CANARY.name)
    assert run.code == 0, run.output
    assert CANARY.bundle_version() == SHIPPED
    assert CANARY.metric("plumbline_edge_frames_total") > 0
    print(f"\nsite.yml: {run.seconds:.0f} s")


def test_deploy_yml_brings_a_new_bundle(emulated: Fleet, tmp_path: Path) -> None:
    version = emulated.publish(copy_of_bundle(tmp_path / "v2", "0.6.0"))
    run = emulated.play("deploy.yml")
    assert run.code == 0, run.output
    assert emulated.report == {CANARY.name: "passed"}
    wait_for("Prometheus to see it", lambda: emulated.versions() == {CANARY.name: version})
    print(f"\ndeploy.yml: {run.seconds:.0f} s")
