"""site.yml and deploy.yml bring bare Pis, a registry and what watches them to life; run again they change nothing."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.infra.fleet.fleet import BUNDLE, CANARY, HUB, NAME, PIS, PROMETHEUS, SHIPPED, Fleet
from tests.infra.fleet.pis import play
from tests.infra.machine import wait_for
from tests.infra.servers import query

pytestmark = pytest.mark.fleet


@pytest.mark.fleet_one_pi
def test_dry_run_on_a_bare_machine_says_what_it_would_do_and_does_nothing(fleet: Fleet) -> None:
    run = fleet.play("site.yml", "--check", "--diff", "--limit", CANARY.name)
    assert run.code == 0, run.output
    assert run.changed[CANARY.name] > 10
    found = CANARY.ssh("ls -d /opt/plumbline /etc/plumbline /var/lib/plumbline /swapfile 2>/dev/null || echo none")
    assert found == "none"
    assert CANARY.ssh("getent passwd plumbline || echo none") == "none"


def test_registry_comes_up_and_its_keys_stay_here(fleet: Fleet, tmp_path: Path) -> None:
    """But for the signer's two, which the registry's user can't read; the signer publishes what was signed here.

    The Pis are prepared meanwhile, and nothing is rolled out to them yet.
    """
    with ThreadPoolExecutor() as pool:
        pis = pool.submit(play, "site.yml", fleet.inventory, "--limit", "edge", "--skip-tags", "rollout")
        run = fleet.play("site.yml", "--limit", HUB.name)
    assert run.code == 0, run.output
    assert pis.result().code == 0, pis.result().output
    assert all(pi.ssh("id -un plumbline; ls -d /opt/plumbline 2>&1 || true").startswith("plumbline\nls:") for pi in PIS)
    print(f"\nprepared {len(PIS)} bare Pis in {pis.result().seconds:.0f} s, the registry's host in {run.seconds:.0f} s")
    folder, roles = "/var/lib/plumbline-registry-signer/private", ("snapshot", "timestamp")
    found = HUB.ssh("sudo find / -xdev -name '*.pem' -path '*private*' -printf '%p %u %m\\n' | grep -v ^/usr | sort")
    assert found.splitlines() == [f"{folder}/{role}.pem plumbline-signer 600" for role in roles]
    assert HUB.ssh(f"sudo runuser -u plumbline-registry -- ls {folder} 2>&1 || echo closed").endswith("closed")
    keys = shutil.copytree(fleet.keys, tmp_path / "keys")
    for role in roles:
        (keys / f"private/{role}.pem").unlink()
    fleet.registry("publish", str(BUNDLE))
    fleet.registry("promote", NAME, SHIPPED, "stable", "--reason", "fleet test", "--keys", str(keys))


def test_first_rollout_brings_every_pi_to_life(fleet: Fleet) -> None:
    run = fleet.play("deploy.yml")
    assert run.code == 0, run.output
    assert fleet.report == {pi.name: "passed" for pi in PIS}
    for pi in PIS:
        assert pi.bundle_version() == SHIPPED
        assert 1 < pi.metric("plumbline_edge_fps") < 3
    print(f"\nfirst rollout to {len(PIS)} Pis in {run.seconds:.0f} s")


def test_second_run_changes_nothing(fleet: Fleet) -> None:
    run = fleet.play("site.yml")
    assert run.code == 0, run.output
    assert run.changed == {pi.name: 0 for pi in (*PIS, HUB)}, run.output
    print(f"\nsecond run: changed=0 on {len(PIS)} Pis in {run.seconds:.0f} s")


@pytest.mark.fleet_one_pi
@pytest.mark.fleet_long
def test_dry_run_on_provisioned_machines_finds_nothing_to_do(fleet: Fleet) -> None:
    run = fleet.play("site.yml", "--check", "--diff", "--limit", f"{CANARY.name},{HUB.name}")
    assert run.code == 0, run.output
    assert run.changed == {CANARY.name: 0, HUB.name: 0}, run.output


def test_prometheus_watches_every_pi(fleet: Fleet) -> None:
    targets = {f"{pi.ip}:{port}" for pi in PIS for port in (8080, 9100)} | {f"{HUB.ip}:{port}" for port in (8100, 9100)}
    wait_for("all targets to be up", lambda: query(PROMETHEUS, "up == 1").keys() == targets)
    wait_for("what runs where", lambda: fleet.versions() == {pi.name: SHIPPED for pi in PIS})


def test_service_is_confined_and_watched(fleet: Fleet) -> None:
    for unit in ("plumbline-edge", "plumbline-update"):
        report = CANARY.ssh(f"sudo systemd-analyze security --no-pager {unit}.service | tail -n 1")
        found = re.search(r"exposure level for .*: ([0-9.]+)", report)
        assert found, report
        assert float(found[1]) <= 2.0, report
    shown = CANARY.ssh("systemctl show plumbline-edge -p User -p Type -p Restart -p NRestarts").split()
    assert set(shown) == {"User=plumbline", "Type=notify", "Restart=always", "NRestarts=0"}


def test_host_is_as_the_role_says(fleet: Fleet) -> None:
    assert "camera_auto_detect=1" in CANARY.ssh("cat /boot/firmware/config.txt")
    assert CANARY.ssh("systemctl is-enabled systemd-timesyncd plumbline-update.timer").split() == ["enabled"] * 2
    assert CANARY.ssh("systemd-analyze cat-config systemd/journald.conf | grep ^SystemMaxUse") == "SystemMaxUse=200M"
    origins = CANARY.ssh("apt-config dump | grep '^Unattended-Upgrade::Origins-Pattern::'").splitlines()
    assert len(origins) == 3
    assert any("origin=Debian,codename=${distro_codename}-security" in origin for origin in origins)


@pytest.mark.fleet_one_pi
@pytest.mark.fleet_long
def test_hardening_does_not_lock_the_operator_out(fleet: Fleet) -> None:
    hardened = ("-e", "edge_host_harden_ssh=true", "-e", "edge_host_firewall=true", "--limit", CANARY.name)
    run = fleet.play("site.yml", *hardened)
    assert run.code == 0, run.output
    assert "policy drop" in CANARY.ssh("sudo nft list table inet plumbline")
    assert CANARY.ssh("sudo sshd -T | grep ^passwordauthentication") == "passwordauthentication no"
    again = fleet.play("site.yml", *hardened)
    assert again.changed == {CANARY.name: 0}, again.output


@pytest.mark.fleet_one_pi
@pytest.mark.fleet_long
def test_firewall_that_shuts_the_operator_out_is_taken_back(fleet: Fleet) -> None:
    """The rules let in another port than the one that Ansible comes by: the Pi takes them back by itself."""
    shut = ("-e", "edge_host_firewall=true", "-e", "edge_host_undo_seconds=10", "-e", "edge_host_ssh_port=2222")
    run = fleet.play("site.yml", *shut, "--limit", CANARY.name)
    assert run.code != 0
    assert "timed out waiting for ping" in run.output, run.output
    wait_for("the Pi to open again", lambda: "plumbline" not in CANARY.ssh("sudo nft list tables"), 30)
