"""One rollout in which one Pi is away, one is rebooted in the middle and one has a full disk; then all catch up."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from tests.infra.fleet.fleet import CANARY, PIS, Fleet, copy_of_bundle
from tests.infra.fleet.pis import PI, Pi
from tests.infra.machine import wait_for

STARTED = "systemctl show -P UserspaceTimestamp"

pytestmark = [pytest.mark.fleet, pytest.mark.fleet_long]


def test_mishaps_of_some_leave_the_others_their_new_version(fleet: Fleet, tmp_path: Path) -> None:
    full, rebooted, away = PIS[-3:]
    old = fleet.versions()[full.name]
    version = fleet.publish(copy_of_bundle(tmp_path / "v4", "1.0.0"))
    full.ssh("sudo mount -t tmpfs -o size=256k,uid=$(id -u plumbline) none /var/lib/plumbline/incoming")
    subprocess.run([str(PI), "cut", away.name], check=True)
    started = rebooted.ssh(STARTED)
    reboot = threading.Thread(target=_reboot_in_its_turn, args=(rebooted,))
    reboot.start()
    run = fleet.play("deploy.yml", "-e", "deploy_max_failures=1")
    reboot.join()

    expected = {pi.name: "passed" for pi in PIS} | {full.name: "rolled back", away.name: "unreachable"}
    assert fleet.report == expected, run.output
    assert rebooted.ssh(STARTED) != started
    assert run.code != 0
    assert "free some space" in (fleet.folder / "report.md").read_text()
    assert full.bundle_version() == old
    now = {pi.name: version for pi in PIS if pi not in (full, away)} | {full.name: old}
    wait_for("Prometheus to see who has it", lambda: fleet.versions() == now)
    assert [pi for pi in PIS if pi is not away and pi.is_held()] == [full]

    # Space is made and the run repeated; the Pi that was away comes back and catches up at its boot, by itself.
    full.ssh("sudo umount /var/lib/plumbline/incoming")
    subprocess.run([str(PI), "join", away.name], check=True)
    away.ssh("sudo systemctl reboot || true")
    again = fleet.play("deploy.yml", "--limit", full.name)
    assert again.code == 0, again.output
    wait_for("all to have it", lambda: fleet.versions() == {pi.name: version for pi in PIS}, 120)
    assert "activated" in away.ssh("sudo journalctl --no-pager -u plumbline-update.service")


def _reboot_in_its_turn(pi: Pi) -> None:
    """The Pi itself waits for its update to begin: asking it over and over would miss the second that one takes."""
    waits = "until pgrep -f 'plumbline-edge upd[a]te' >/dev/null; do sleep 0.05; done; systemctl reboot"
    pi.ssh(f'sudo timeout 900 sh -c "{waits}" || true')


def test_killed_service_comes_back(fleet: Fleet) -> None:
    started = CANARY.metric("process_start_time_seconds")
    CANARY.ssh("sudo kill -KILL $(systemctl show -P MainPID plumbline-edge)")
    wait_for("it to be back", lambda: CANARY.is_ready_since(started + 1), 60)
