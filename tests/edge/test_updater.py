"""An update reaches the bundle that the channel's key signed for, or changes nothing at all."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.edge.bundles import copy_bundle, seal, spoil_golden
from tests.edge.http_fixtures import FakeRegistry, fake_registry, serving

from plumbline_contract.errors import DigestMismatch, PlumblineError
from plumbline_contract.manifest import GoldenCheck
from plumbline_edge.bundle import open_bundle
from plumbline_edge.errors import (
    GoldenMismatch,
    KnownBad,
    NotEnoughSpace,
    RegistryRefused,
    RegistryUnavailable,
    StateUnwritable,
    TooSlowHere,
    TrustAnchorMissing,
    UnhealthyBundle,
    UntrustedMetadata,
    UpdateInProgress,
)
from plumbline_edge.health import HealthWatch
from plumbline_edge.journal import read_journal
from plumbline_edge.registry_client import RegistryClient
from plumbline_edge.state import StateFolder
from plumbline_edge.updater import Update, UpdateResult


@dataclass
class Device:
    """A device that follows dots in stable, and what its updater said."""

    registry: FakeRegistry
    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.folder / "state")

    @property
    def active_version(self) -> str:
        return open_bundle(self.state.active_bundle_folder()).manifest.version

    def update(self, timeout_seconds: float = 5.0, **changes: Any) -> UpdateResult:
        root_file = self.folder / "root.json"
        if not root_file.exists():
            root_file.write_bytes(self.registry.repository.anchor)
        with RegistryClient(self.registry.url, timeout_seconds) as client:
            follow = Update(self.state, client, root_file, "dots", "stable", synchronised=lambda: True)
            return replace(follow, **changes).run(self.said.append)

    def everything(self) -> set[str]:
        """What is in the state folder, but for the metadata and the memory."""
        paths = {str(path.relative_to(self.state.folder)) for path in self.state.folder.rglob("*")}
        return {path for path in paths if not path.startswith(("trust", "updates.json"))}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[FakeRegistry]:
    """A registry that gives dots 1.0.0 in stable."""
    with fake_registry() as running:
        running.give(copy_bundle(tmp_path / "v1.0.0"))
        yield running


@pytest.fixture
def device(registry: FakeRegistry, tmp_path: Path) -> Device:
    return Device(registry, tmp_path)


def move_to(registry: FakeRegistry, tmp_path: Path, version: str) -> str:
    return registry.give(copy_bundle(tmp_path / f"v{version}", version=version))


def blobs(registry: FakeRegistry) -> list[str]:
    return [path for path in registry.requests if path.startswith("/v1/blobs")]


def test_first_update_activates_the_channels_bundle(device: Device) -> None:
    result = device.update()
    assert result.changed
    assert result.golden is not None
    assert result.golden.heatmap_max_abs < 1e-4
    assert device.state.active.readlink() == Path("bundles") / result.manifest_sha256
    assert device.active_version == "1.0.0"
    assert list((device.state.folder / "incoming").iterdir()) == []


def test_second_update_says_already_active_and_downloads_nothing(device: Device) -> None:
    device.update()
    device.registry.requests.clear()
    assert not device.update().changed
    assert blobs(device.registry) == []
    assert device.registry.requests == ["/tuf/metadata/2.root.json", "/tuf/metadata/timestamp.json"]


def test_update_keeps_two_bundles_from_before_and_no_more(device: Device, tmp_path: Path) -> None:
    digests = [device.update().manifest_sha256]
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        digests.append(move_to(device.registry, tmp_path, version))
        assert device.update().manifest_sha256 == digests[-1]
    state = device.state
    assert [link.readlink().name for link in (state.older, state.previous, state.active)] == digests[1:]
    assert {path.name for path in (state.folder / "bundles").iterdir()} == set(digests[1:])


def test_two_good_bundles_are_left_after_a_bad_one_was_rolled_back(device: Device, tmp_path: Path) -> None:
    first = device.update().manifest_sha256
    second = move_to(device.registry, tmp_path, "1.1.0")
    device.update()
    move_to(device.registry, tmp_path, "1.2.0")
    with serving(service(lambda: (503, ""))) as url, pytest.raises(UnhealthyBundle):
        device.update(health=quick_watch(url))
    assert (device.state.active_sha256(), device.state.previous.readlink().name) == (second, first)
    assert device.state.roll_back() == first
    assert device.active_version == "1.0.0"
    assert device.state.roll_back() is None


def test_operators_rollback_downloads_nothing(device: Device, tmp_path: Path) -> None:
    """New metadata that names an older bundle is no rollback attack."""
    first = device.update().manifest_sha256
    move_to(device.registry, tmp_path, "1.1.0")
    device.update()
    device.registry.give(tmp_path / "v1.0.0")
    device.registry.requests.clear()
    assert device.update().changed
    assert device.state.active_sha256() == first
    assert blobs(device.registry) == []


def test_damaged_active_bundle_is_fetched_again(device: Device) -> None:
    device.update()
    (device.state.active_bundle_folder() / "model.tflite").write_bytes(b"damaged")
    assert device.update().changed
    assert device.active_version == "1.0.0"


@pytest.mark.parametrize(
    ("fault", "file_name", "error", "message"),
    [
        ("corrupt", "model.tflite", DigestMismatch, "model.tflite"),
        ("corrupt", "golden.npz", DigestMismatch, "golden.npz"),
        ("corrupt", "manifest.json", DigestMismatch, "manifest.json from"),
        ("corrupt", "timestamp.json", UntrustedMetadata, "nothing was changed"),
        ("cut", "model.tflite", RegistryUnavailable, "check --registry"),
        ("cut", "manifest.json", RegistryUnavailable, "check --registry"),
        ("cut", "stable.json", RegistryUnavailable, "check --registry"),
        ("silent", "model.tflite", RegistryUnavailable, "stayed silent for 0.3 s"),
        ("silent", "timestamp.json", RegistryUnavailable, "stayed silent"),
        ("failing", "model.tflite", RegistryRefused, "answers 500"),
        ("failing", "snapshot.json", UntrustedMetadata, "answers 500"),
    ],
)
def test_failed_update_changes_nothing(
    device: Device, tmp_path: Path, fault: str, file_name: str, error: type[PlumblineError], message: str
) -> None:
    first = device.update().manifest_sha256
    wanted = move_to(device.registry, tmp_path, "1.1.0")
    getattr(device.registry, fault).add(file_name)
    with pytest.raises(error, match=message):
        device.update(timeout_seconds=0.3)
    assert device.state.active_sha256() == first
    getattr(device.registry, fault).clear()
    assert device.update().manifest_sha256 == wanted


def test_download_goes_on_where_it_broke_off(device: Device, tmp_path: Path) -> None:
    device.registry.cut.add("model.tflite")
    with pytest.raises(RegistryUnavailable):
        device.update()
    parts = list((device.state.folder / "incoming").rglob("model.tflite.part"))
    size = (tmp_path / "v1.0.0" / "model.tflite").stat().st_size
    assert [part.stat().st_size for part in parts] == [size // 2]
    device.registry.cut.clear()
    device.registry.requests.clear()
    assert device.update().changed
    assert len(blobs(device.registry)) == 3  # the manifest was here already; the model came in its second half


def test_rotten_part_is_thrown_away(device: Device) -> None:
    device.registry.cut.add("model.tflite")
    with pytest.raises(RegistryUnavailable):
        device.update()
    (part,) = (device.state.folder / "incoming").rglob("model.tflite.part")
    part.write_bytes(bytes(part.stat().st_size))
    device.registry.cut.clear()
    with pytest.raises(DigestMismatch):
        device.update()
    assert device.update().changed


@pytest.mark.parametrize("name", ["manifest.json", "model.tflite", "golden.npz"])
@pytest.mark.parametrize("content", [b"", bytes(99)], ids=["empty", "zeros"])
def test_a_file_that_was_left_damaged_is_brought_again(device: Device, name: str, content: bytes) -> None:
    """A power cut between a download and the next update: what lies there whole is not asked for, the rest is."""
    device.registry.cut = {"model-card.md"}
    with pytest.raises(RegistryUnavailable):
        device.update()
    (left,) = (device.state.folder / "incoming").rglob(name)
    left.write_bytes(content)
    device.registry.cut = set()
    device.registry.requests.clear()
    assert device.update().changed
    asked = {device.registry.blobs[path.rpartition("/")[2]][0] for path in blobs(device.registry)}
    assert asked == {name, "model-card.md"}


def test_full_disk_is_told_before_the_download(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1 << 30, (1 << 30) - 1000, 1000))
    with pytest.raises(NotEnoughSpace, match=r"has 1000 bytes free, dots 1\.0\.0 needs 1\d{7}"):
        device.update()
    assert len(blobs(device.registry)) == 1  # the manifest, which says how much is needed


def test_bundle_that_misbehaves_on_this_device_is_not_tried_again(device: Device, tmp_path: Path) -> None:
    first = device.update().manifest_sha256
    before = device.everything()
    device.registry.give(spoil_golden(copy_bundle(tmp_path / "bad", version="1.3.0")))
    with pytest.raises(GoldenMismatch, match=r"dots 1\.3\.0"):
        device.update()
    assert device.state.active_sha256() == first
    assert device.everything() == before
    device.registry.requests.clear()
    with pytest.raises(KnownBad, match=r"1\.3\.0 failed on this device before.*--retry-failed"):
        device.update()
    assert blobs(device.registry) == []
    with pytest.raises(GoldenMismatch):
        device.update(retry_failed=True)
    wanted = move_to(device.registry, tmp_path, "1.4.0")
    assert device.update().manifest_sha256 == wanted


def test_bundle_that_is_too_slow_here_is_not_activated(device: Device, tmp_path: Path) -> None:
    budget = GoldenCheck(heatmap_max_abs=0.01, keypoint_max_px=1, latency_budget_seconds=1e-9)
    device.registry.give(seal(copy_bundle(tmp_path / "slow"), version="2.0.0", golden=budget))
    with pytest.raises(TooSlowHere, match="allowed are 1e-09"):
        device.update()
    assert read_journal(device.state.folder).failed[0].version == "2.0.0"


def test_manifest_of_another_bundle_is_refused(device: Device, tmp_path: Path) -> None:
    digest, size = device.registry.publish(copy_bundle(tmp_path / "v1.1.0", version="1.1.0"))
    device.registry.repository.point("dots", "stable", "9.9.9", digest, size)
    with pytest.raises(RegistryRefused, match=r"asked for dots 9\.9\.9, the manifest is that of dots 1\.1\.0"):
        device.update()


def test_channel_that_gives_nothing(device: Device) -> None:
    with pytest.raises(UntrustedMetadata, match="channel 'canary' gives no bundle 'dots'; promote one"):
        device.update(channel="canary")


def test_device_that_trusts_nobody(device: Device, tmp_path: Path) -> None:
    with pytest.raises(TrustAnchorMissing, match=r"none\.json.*copy root\.json"):
        device.update(root_file=tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(TrustAnchorMissing, match=r"bad\.json"):
        device.update(root_file=tmp_path / "bad.json")


def test_server_that_is_no_registry_is_told_in_one_line(device: Device, tmp_path: Path) -> None:
    class WebServer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with serving(WebServer) as url:
        device.registry = FakeRegistry(url)
        with pytest.raises(UntrustedMetadata, match=r"metadata missing.*404") as no:
            device.update()
    assert "\n" not in str(no.value)


def test_registry_that_is_down(device: Device) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        device.registry = FakeRegistry(f"http://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(RegistryUnavailable, match=r"refused.*check --registry and that it is running"):
        device.update()


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/", "http://[broken"])
def test_registry_whose_url_is_none(device: Device, url: str) -> None:
    device.registry = FakeRegistry(url)
    with pytest.raises(RegistryUnavailable):
        device.update()


def test_two_updates_at_once_do_not_meet(device: Device) -> None:
    device.update()
    with (device.state.folder / "update.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UpdateInProgress, match="another update is running"):
            device.update()


def service(answers: Callable[[], tuple[int, str]]) -> type[BaseHTTPRequestHandler]:
    """A running edge service, as far as the watch sees it: status of /readyz, and the bundle that it runs."""

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, digest = answers()
            self.send_response(status if self.path == "/readyz" else 200)
            self.end_headers()
            self.wfile.write(f'plumbline_edge_bundle_info{{manifest_sha256="{digest}"}} 1.0\n'.encode())

        def log_message(self, *_: object) -> None:
            pass

    return Service


def quick_watch(url: str) -> HealthWatch:
    return HealthWatch(url, 0.05, 0.05, sleep=lambda _: time.sleep(0.01))


def test_healthy_bundle_is_kept(device: Device, tmp_path: Path) -> None:
    device.update()
    wanted = move_to(device.registry, tmp_path, "1.1.0")
    with serving(service(lambda: (200, device.state.active_sha256() or ""))) as url:
        device.update(health=HealthWatch(url, 1, 0.05, sleep=lambda _: time.sleep(0.01)))
    assert device.state.active_sha256() == wanted
    assert read_journal(device.state.folder).on_trial is None


@pytest.mark.parametrize(
    ("status", "runs_new", "message"), [(503, True, "is not ready"), (200, False, "runs 000000000000, not")]
)
def test_unhealthy_bundle_is_rolled_back_and_remembered(
    device: Device, tmp_path: Path, status: int, runs_new: bool, message: str
) -> None:
    first = device.update().manifest_sha256
    move_to(device.registry, tmp_path, "1.1.0")

    def answers() -> tuple[int, str]:
        active = device.state.active_sha256() or ""
        return (200, active) if active == first else (status, active if runs_new else "0" * 64)

    with serving(service(answers)) as url:
        with pytest.raises(UnhealthyBundle, match=f"{message}.*went back to {first[:12]}$"):
            device.update(health=quick_watch(url))
        assert device.state.active_sha256() == first
        with pytest.raises(KnownBad):
            device.update(health=quick_watch(url))
    assert device.active_version == "1.0.0"


def test_bundle_is_not_held_to_have_failed_where_the_service_was_unwell_before(device: Device, tmp_path: Path) -> None:
    """A camera that is off at night: 503 with any bundle."""
    first = device.update().manifest_sha256
    wanted = move_to(device.registry, tmp_path, "1.1.0")
    status = [503]
    with serving(service(lambda: (status[0], device.state.active_sha256() or ""))) as url:
        for _ in range(2):
            with pytest.raises(UnhealthyBundle, match=f"went back to {first[:12]}; .*unwell before too: it is not rea"):
                device.update(health=quick_watch(url))
            assert device.state.active_sha256() == first
        journal = read_journal(device.state.folder)
        assert (journal.failed, journal.on_trial, journal.unwell_before) == ((), None, None)
        status[0] = 200
        assert device.update(health=quick_watch(url)).changed
    assert device.state.active_sha256() == wanted


def test_first_bundle_that_is_unwell_is_remembered(device: Device) -> None:
    with serving(service(lambda: (503, ""))) as url:
        with pytest.raises(UnhealthyBundle, match=r"there is none to go back to$"):
            device.update(health=quick_watch(url))
        with pytest.raises(KnownBad):
            device.update(health=quick_watch(url))


@pytest.mark.parametrize("has_one_before", [True, False])
def test_bundle_that_failed_and_was_retried_well_is_followed_as_any_other(
    device: Device, tmp_path: Path, has_one_before: bool
) -> None:
    if has_one_before:
        device.update()
        move_to(device.registry, tmp_path, "1.1.0")
    before, well = device.state.active_sha256(), [False]

    def answers() -> tuple[int, str]:
        active = device.state.active_sha256()
        return 200 if well[0] or active == before else 503, active or ""

    with serving(service(answers)) as url:
        with pytest.raises(UnhealthyBundle):
            device.update(health=quick_watch(url))
        well[0] = True
        assert device.update(health=quick_watch(url), retry_failed=True).changed
        assert read_journal(device.state.folder).failed == ()
        assert not device.update(health=quick_watch(url)).changed


def test_bundle_that_was_retried_without_a_watch_is_no_longer_known_as_bad(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as slow:
        slow.setattr("plumbline_edge.updater.replay_golden", too_slow)
        with pytest.raises(TooSlowHere):
            device.update()
    assert device.update(retry_failed=True).changed
    assert not device.update().changed


def too_slow(*_: object) -> None:
    raise TooSlowHere("it was hot that day")


@pytest.mark.parametrize(("unwell_before", "remembered"), [(False, 1), (True, 0)])
def test_watch_that_was_cut_off_knows_how_the_service_was_before(
    device: Device, tmp_path: Path, unwell_before: bool, remembered: int
) -> None:
    first = device.update().manifest_sha256
    move_to(device.registry, tmp_path, "1.1.0")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    def answers() -> tuple[int, str]:
        active = device.state.active_sha256() or ""
        return (503 if unwell_before or active != first else 200), active

    with serving(service(answers)) as url:
        with pytest.raises(KeyboardInterrupt):
            device.update(health=HealthWatch(url, 5, 5, sleep=interrupted))
        assert device.active_version == "1.1.0"
        with pytest.raises(UnhealthyBundle, match="went back"):
            device.update(health=quick_watch(url))
    assert device.state.active_sha256() == first
    assert len(read_journal(device.state.folder).failed) == remembered


def test_bundle_on_trial_that_was_damaged_is_brought_again(device: Device, tmp_path: Path) -> None:
    device.update()
    wanted = move_to(device.registry, tmp_path, "1.1.0")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with serving(service(lambda: (200, device.state.active_sha256() or ""))) as url:
        with pytest.raises(KeyboardInterrupt):
            device.update(health=HealthWatch(url, 5, 5, sleep=interrupted))
        (device.state.active_bundle_folder() / "model.tflite").write_bytes(b"damaged")
        assert device.update(health=HealthWatch(url, 1, 0.05, sleep=lambda _: time.sleep(0.01))).changed
    assert any("is damaged and is brought again" in said for said in device.said)
    assert device.state.active_sha256() == wanted
    assert device.active_version == "1.1.0"
    assert read_journal(device.state.folder).on_trial is None


def test_clock_that_is_not_synchronised_is_said_and_expiry_is_not_checked(device: Device) -> None:
    repository = device.registry.repository
    repository.expires = repository.expires.replace(year=repository.expires.year - 1)
    repository.publish()
    with pytest.raises(UntrustedMetadata, match="metadata expired"):
        device.update()
    assert device.update(synchronised=lambda: False).changed
    assert "the clock is not synchronised: whether metadata has expired is not checked this time" in device.said


def test_journal_counts_outcomes(device: Device, tmp_path: Path) -> None:
    device.update()
    device.registry.silent.add("timestamp.json")
    with pytest.raises(RegistryUnavailable):
        device.update(timeout_seconds=0.2)
    journal = read_journal(device.state.folder)
    assert (journal.attempts, journal.failures, journal.last_reason) == (
        2, {"registry_unavailable": 1}, "registry_unavailable",
    )  # fmt: skip
    assert journal.last_success_at is not None
    (device.state.folder / "updates.json").write_text("{damaged")
    device.registry.silent.clear()
    assert not device.update().changed


def test_state_that_cannot_be_written_counts_as_a_failed_update(device: Device) -> None:
    device.state.folder.mkdir()
    (device.state.folder / "trust").write_text("no folder")
    with pytest.raises(StateUnwritable, match="free space or choose another"):
        device.update()
    journal = read_journal(device.state.folder)
    assert (journal.attempts, journal.failures) == (1, {"state_unwritable": 1})
    assert journal.first_attempt_at is not None


def test_killed_update_leaves_the_active_bundle_and_the_next_one_goes_on(device: Device, tmp_path: Path) -> None:
    first = device.update().manifest_sha256
    wanted = move_to(device.registry, tmp_path, "1.1.0")
    device.registry.silent.add("golden.npz")
    command = [sys.executable, "-m", "plumbline_edge", "update", "--registry", device.registry.url, "--name", "dots"]
    command += ["--root", str(tmp_path / "root.json"), "--state", str(device.state.folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not list((device.state.folder / "incoming").rglob("model.tflite")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert device.state.active_sha256() == first
    assert device.active_version == "1.0.0"
    device.registry.silent.clear()
    assert device.update().manifest_sha256 == wanted


def test_active_link_always_leads_to_a_bundle_while_it_moves(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    digests = ["a" * 64, "b" * 64]
    for digest in digests:
        state.bundle_folder(digest).mkdir(parents=True)
        (state.bundle_folder(digest) / "here").touch()
    state.activate(digests[0])
    command = [sys.executable, "-c", WATCH, str(state.active / "here")]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "watching\n"
    for step in range(40):
        state.activate(digests[(step + 1) % 2])
    looks, missing = watcher.communicate("stop\n")[0].split()
    assert int(looks) > 100
    assert int(missing) == 0


WATCH = """
import os, select, sys
print("watching", flush=True)
looks = missing = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    looks += 1
    missing += not os.path.exists(sys.argv[1])
print(looks, missing)
"""
