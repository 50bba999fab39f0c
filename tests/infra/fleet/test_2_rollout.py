"""deploy.yml brings a new bundle to the canary, then to the rest, and Prometheus sees it; a key is rotated as well."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.infra.fleet.fleet import CANARY, PIS, SHIPPED, Fleet, copy_of_bundle
from tests.infra.machine import wait_for

pytestmark = pytest.mark.fleet


def test_new_bundle_is_the_only_change(fleet: Fleet, tmp_path: Path) -> None:
    """And a rotated key is followed: what the new one signed reaches the Pis, which were told of no key but root's."""
    fleet.registry("rotate", "stable", "--keys", str(fleet.keys))
    version = fleet.publish(copy_of_bundle(tmp_path / "v2", "0.6.0"))
    started = {pi: pi.metric("process_start_time_seconds") for pi in PIS}
    # The canary, then the others in two batches.
    run = fleet.play("deploy.yml", "-e", "deploy_batch=60%")
    assert run.code == 0, run.output
    assert fleet.report == {pi.name: "passed" for pi in PIS}
    # Held back, updated, let go; the service changes over without a restart.
    assert run.changed == {pi.name: 3 for pi in PIS}, run.output
    assert {pi: pi.metric("process_start_time_seconds") for pi in PIS} == started
    wait_for("Prometheus to see it", lambda: fleet.versions() == {pi.name: version for pi in PIS})
    print(f"\nnew bundle on {len(PIS)} Pis in {run.seconds:.0f} s")


@pytest.mark.fleet_one_pi
@pytest.mark.fleet_long
def test_version_that_no_channel_gives_is_refused(fleet: Fleet) -> None:
    run = fleet.play("deploy.yml", "-e", "version=7.7.7")
    assert run.code != 0
    said = " ".join(run.output.split())
    assert "gives hrnet-edge-s 7.7.7 (stable gives 0.6.0)" in said, run.output
    assert all(pi.bundle_version() == "0.6.0" for pi in PIS)


@pytest.mark.fleet_one_pi
@pytest.mark.fleet_long
def test_operator_goes_back_without_the_registry(fleet: Fleet) -> None:
    run = fleet.play("rollback.yml", "--limit", CANARY.name, "-e", "edge_bundle_registry=http://10.79.0.1:1")
    assert run.code == 0, run.output
    wait_for("Prometheus to see it", lambda: fleet.versions()[CANARY.name] == SHIPPED)
    CANARY.ssh("sudo systemctl start plumbline-update.service")
    assert CANARY.bundle_version() == SHIPPED, "the Pi was to take nothing by itself"
    run = fleet.play("deploy.yml", "-e", "version=0.6.0", "--limit", CANARY.name)
    assert run.code == 0, run.output
    assert CANARY.bundle_version() == "0.6.0"
