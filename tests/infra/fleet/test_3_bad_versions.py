"""A bad version, in each of four ways, is stopped by the canary and taken back; the rest is not touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.infra.fleet.bad_versions import CRASHES, NEVER_READY, bad_program, ten_times_slower, wrong_keypoints
from tests.infra.fleet.fleet import CANARY, PIS, PROMETHEUS, REST, WHEELS, Fleet
from tests.infra.fleet.pis import Run
from tests.infra.machine import wait_for
from tests.infra.servers import query_by

pytestmark = pytest.mark.fleet


def _releases() -> dict[str, str]:
    return {pi.name: pi.ssh("readlink /opt/plumbline/current") for pi in PIS}


@contextmanager
def _everything_stays(fleet: Fleet) -> Iterator[None]:
    """The same bundle and release on every Pi afterwards, the canary well again, the others never restarted."""
    versions, releases = fleet.versions(), _releases()
    started = {pi: pi.metric("process_start_time_seconds") for pi in REST}
    yield
    CANARY.settles_on(versions[CANARY.name])
    wait_for("Prometheus to see the versions from before", lambda: fleet.versions() == versions)
    assert _releases() == releases
    assert {pi: pi.metric("process_start_time_seconds") for pi in REST} == started
    assert all(pi.is_ready() for pi in PIS)


def _stopped_at_the_canary(fleet: Fleet, run: Run, reason: str) -> None:
    assert run.code != 0, run.output
    assert fleet.report == {CANARY.name: "rolled back", **{pi.name: "untouched" for pi in REST}}, run.output
    assert reason in " ".join((fleet.folder / "report.md").read_text().split()), run.output
    # Stopped: none of them may take it by its own timer.
    assert len({pi.is_held() for pi in PIS}) == 1


def test_wrong_keypoints(fleet: Fleet, tmp_path: Path) -> None:
    good = fleet.versions()[CANARY.name]
    fleet.publish(wrong_keypoints(tmp_path / "bad", "0.9.0"))
    with _everything_stays(fleet):
        run = fleet.play("deploy.yml")
        _stopped_at_the_canary(fleet, run, "on this device heatmaps differ")
        REST[0].ssh("sudo systemctl start plumbline-update.service")
    fleet.promote(good)


@pytest.mark.fleet_long
def test_ten_times_slower(fleet: Fleet, tmp_path: Path) -> None:
    good = fleet.versions()[CANARY.name]
    fleet.publish(ten_times_slower(tmp_path / "bad", "0.9.1"))
    with _everything_stays(fleet):
        run = fleet.play("deploy.yml")
        _stopped_at_the_canary(fleet, run, "p95 latency")
        # It had been active, and Prometheus saw it there.
        seen = query_by(PROMETHEUS, 'last_over_time(plumbline_edge_bundle_info{version="0.9.1"}[5m])', "pi")
        assert set(seen) == {(CANARY.name,)}
    fleet.promote(good)


@pytest.mark.fleet_long
def test_crashes(fleet: Fleet, tmp_path: Path) -> None:
    wheels = bad_program(WHEELS, tmp_path / "wheels", CRASHES)
    with _everything_stays(fleet):
        run = fleet.play("deploy.yml", "-e", f"edge_app_wheels_dir={wheels}", "-e", "edge_app_build_wheels=false")
        _stopped_at_the_canary(fleet, run, "the watch")


@pytest.mark.fleet_long
def test_never_ready(fleet: Fleet, tmp_path: Path) -> None:
    wheels = bad_program(WHEELS, tmp_path / "wheels", NEVER_READY)
    with _everything_stays(fleet):
        given = (f"edge_app_wheels_dir={wheels}", "edge_app_build_wheels=false", "edge_gate_ready_seconds=12")
        run = fleet.play("deploy.yml", *(part for each in given for part in ("-e", each)))
        _stopped_at_the_canary(fleet, run, "not ready after")


def test_good_version_lets_them_go(fleet: Fleet) -> None:
    """After the stops the channel gives what runs: there is nothing to take, and nothing is held back any more."""
    versions, some = fleet.versions(), (CANARY, PIS[-1])
    assert all(pi.is_held() for pi in some)
    run = fleet.play("deploy.yml", "--limit", ",".join(pi.name for pi in some))
    assert run.code == 0, run.output
    assert fleet.report == {pi.name: "passed" for pi in some}
    assert fleet.versions() == versions
    assert not any(pi.is_held() for pi in some)
