"""deploy.yml brings the edge and its bundle to stand-in Pis over SSH, and Prometheus sees them.

Only the Pi's hardware is a stand-in. The tests tell one story: each starts from the fleet as the last one left it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml
from tests.infra.fleet.pis import HOST_IP, Pi, booted, deploy, thin_clip, wheelhouse
from tests.infra.machine import LAB, ROOT, exclusive, require_root_and, wait_for
from tests.infra.servers import Registry, prometheus_at, query, registry_at

from plumbline_contract.manifest import Manifest, parse_manifest

pytestmark = pytest.mark.fleet

BUNDLE = Path(os.environ.get("PLUMBLINE_FLEET_BUNDLE", ROOT / "models/hrnet-edge-s"))
CLIP = Path(os.environ.get("PLUMBLINE_FLEET_CLIP", ROOT / "samples/squats.mp4"))
CANARY, OTHER = Pi("pi01", "10.79.0.11"), Pi("pi02", "10.79.0.12")
PIS = (CANARY, OTHER)
CLIP_ON_PI = "/srv/plumbline/squats.mp4"


@dataclass(frozen=True)
class Fleet:
    """Everything that the story plays in."""

    registry: Registry
    inventory: Path
    bundle: Manifest


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Bare Pis with a clip in place of a camera, and a registry whose stable channel gives the bundle."""
    require_root_and("systemd-nspawn", "debootstrap", "ssh", "ip", "prometheus")
    folder = tmp_path_factory.mktemp("fleet")
    bundle = parse_manifest((BUNDLE / "manifest.json").read_bytes())
    with exclusive("fleet"), booted(*PIS), registry_at(folder / "registry", HOST_IP) as registry:
        clip = thin_clip(CLIP, folder / "clip.mp4", keep_every=3)
        for pi in PIS:
            pi.copy(clip, CLIP_ON_PI)
        registry.publish(BUNDLE, bundle.name, bundle.version, "stable")
        inventory = folder / "inventory.yml"
        inventory.write_text(yaml.safe_dump(_inventory(registry, bundle.name)))
        yield Fleet(registry, inventory, bundle)


def _inventory(registry: Registry, bundle: str) -> dict[str, object]:
    variables = {
        "ansible_user": "pi",
        "ansible_ssh_private_key_file": str(LAB / "id_ed25519"),
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        "edge_bundle_registry": registry.url,
        "edge_bundle_root": str(registry.keys / "root.json"),
        "edge_bundle_name": bundle,
        "edge_app_host": "0.0.0.0",  # noqa: S104 (the lab's network ends at this machine)
        "edge_app_source": CLIP_ON_PI,
        "edge_app_loop": True,
        "edge_app_wheelhouse": str(wheelhouse()),
    }
    groups = {"canary": CANARY, "fleet": OTHER}
    children = {group: {"hosts": {pi.name: {"ansible_host": pi.ip}}} for group, pi in groups.items()}
    return {"edge": {"vars": variables, "children": children}}


def test_dry_run_on_a_bare_pi_says_what_it_would_do_and_does_nothing(fleet: Fleet) -> None:
    run = deploy(fleet.inventory, "--check", "--diff")
    assert run.code == 0, run.output
    assert min(run.changed.values()) > 5
    assert f"{fleet.bundle.version} (" in run.output
    for pi in PIS:
        assert pi.ssh("ls -d /opt/plumbline /etc/plumbline /var/lib/plumbline 2>/dev/null || echo none") == "none"


def test_first_run_brings_every_pi_to_life(fleet: Fleet) -> None:
    run = deploy(fleet.inventory)
    assert run.code == 0, run.output
    for pi in PIS:
        assert pi.bundle_version() == fleet.bundle.version
        assert pi.metric("plumbline_edge_fps") > 1
    print(f"\ndeployed to {len(PIS)} bare Pis in {run.seconds:.0f} s")


def test_second_run_changes_nothing(fleet: Fleet) -> None:
    run = deploy(fleet.inventory)
    assert run.code == 0, run.output
    assert run.changed == {pi.name: 0 for pi in PIS}, run.output
    print(f"\nsecond run: changed=0 on {len(PIS)} Pis in {run.seconds:.0f} s")


def test_dry_run_on_a_deployed_pi_finds_nothing_to_do(fleet: Fleet) -> None:
    run = deploy(fleet.inventory, "--check", "--diff")
    assert run.code == 0, run.output
    assert run.changed == {pi.name: 0 for pi in PIS}, run.output


def test_service_is_confined(fleet: Fleet) -> None:
    report = CANARY.ssh("sudo systemd-analyze security --no-pager plumbline-edge.service | tail -n 1")
    found = re.search(r"exposure level for plumbline-edge.service: ([0-9.]+)", report)
    assert found, report
    assert float(found[1]) <= 2.0
    assert CANARY.ssh("systemctl show -P User plumbline-edge") == "plumbline"
    assert CANARY.ssh("systemctl show -P NRestarts plumbline-edge") == "0"
    print(f"\nsystemd-analyze security: {found[1]} of 10 (lower is better)")


def test_prometheus_sees_the_fps_of_every_pi(fleet: Fleet, tmp_path: Path) -> None:
    edges = [f"{pi.ip}:8080" for pi in PIS]
    everything = dict.fromkeys([*edges, fleet.registry.url.removeprefix("http://")], 1.0)
    with prometheus_at(tmp_path / "prometheus", edges, fleet.registry.url.removeprefix("http://")) as prometheus:
        wait_for("all targets to be up", lambda: query(prometheus, "up") == everything)
        fps = wait_for("the FPS of both Pis", lambda: query(prometheus, 'plumbline_edge_fps{job="edge"} > 1'))
        assert set(fps) == set(edges)
        print(f"\nPrometheus: plumbline_edge_fps {fps}")


def test_killed_service_and_rebooted_pi_come_back(fleet: Fleet) -> None:
    started = {pi: pi.metric("process_start_time_seconds") for pi in PIS}
    CANARY.ssh("sudo kill -KILL $(systemctl show -P MainPID plumbline-edge)")
    OTHER.ssh("sudo systemctl reboot || true")
    for pi in PIS:
        wait_for(f"{pi.name} to be back", partial(pi.is_ready_since, started[pi] + 1), 90)
        assert pi.bundle_version() == fleet.bundle.version


def test_new_bundle_is_the_only_change(fleet: Fleet, tmp_path: Path) -> None:
    newer = fleet.bundle.model_copy(update={"version": "99.0.0"})
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    (tmp_path / "bundle/manifest.json").write_text(newer.to_json())
    fleet.registry.publish(tmp_path / "bundle", newer.name, newer.version, "stable")

    run = deploy(fleet.inventory)
    assert run.code == 0, run.output
    # The new active bundle, and the restart that it asks for.
    assert run.changed == {pi.name: 2 for pi in PIS}, run.output
    assert [pi.bundle_version() for pi in PIS] == ["99.0.0", "99.0.0"]
    print(f"\nnew bundle on {len(PIS)} Pis in {run.seconds:.0f} s")


def test_failing_canary_spares_the_rest(fleet: Fleet) -> None:
    run = deploy(fleet.inventory, "-e", "edge_bundle_registry=http://10.79.0.1:1")
    assert run.code != 0
    assert run.failed == {CANARY.name: 1, OTHER.name: 0}, run.output
    assert "pi01 keeps its bundle: error: registry" in run.output
    assert all(pi.is_ready() and pi.bundle_version() == "99.0.0" for pi in PIS)


def test_python_without_a_lock_is_named(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "edge-py399.txt").touch()
    run = deploy(fleet.inventory, "-e", f"edge_app_locks_dir={tmp_path}")
    assert run.code != 0
    said = " ".join(run.output.split())
    assert "no lock for Python 3.11 of pi01" in said, run.output
    assert "there are edge-py399.txt" in said, run.output
