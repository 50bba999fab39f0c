"""An update reaches the channel's bundle, or changes nothing at all."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.edge.bundles import copy_bundle, spoil_golden
from tests.edge.http_fixtures import FakeRegistry, fake_registry, serving

from plumbline_contract.errors import DigestMismatch, PlumblineError
from plumbline_edge.bundle import open_bundle
from plumbline_edge.errors import GoldenMismatch, RegistryRefused, RegistryUnavailable, UpdateInProgress
from plumbline_edge.registry_client import RegistryClient
from plumbline_edge.state import StateFolder
from plumbline_edge.updater import UpdateResult, update


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[FakeRegistry]:
    """A registry with dots 1.0.0 on the channel stable, and 1.1.0 published."""
    with fake_registry() as running:
        digest = running.publish(copy_bundle(tmp_path / "v1.0.0"), "dots", "1.0.0")
        running.publish(copy_bundle(tmp_path / "v1.1.0", version="1.1.0"), "dots", "1.1.0")
        running.point("dots", "stable", "1.0.0", digest)
        yield running


def run_update(state: StateFolder, url: str, timeout_seconds: float = 5.0) -> UpdateResult:
    with RegistryClient(url, timeout_seconds) as client:
        return update(state, client, "dots", "stable", 1, lambda line: None)


def move_to_1_1_0(registry: FakeRegistry, tmp_path: Path) -> str:
    digest = open_bundle(tmp_path / "v1.1.0").manifest_sha256
    registry.point("dots", "stable", "1.1.0", digest)
    return digest


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_first_update_activates_the_channels_bundle(registry: FakeRegistry, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    result = run_update(state, registry.url)
    assert result.changed
    assert result.golden is not None
    assert result.golden.heatmap_max_abs < 1e-4
    assert state.active.readlink() == Path("bundles") / result.manifest_sha256
    assert open_bundle(state.active_bundle_folder()).manifest.version == "1.0.0"
    assert not (tmp_path / "state" / "incoming").exists()


def test_second_update_says_already_active_and_downloads_nothing(registry: FakeRegistry, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    run_update(state, registry.url)
    registry.requests.clear()
    assert not run_update(state, registry.url).changed
    assert registry.requests == ["/v1/bundles/dots/channels/stable"]


def test_update_keeps_the_previous_bundle_and_no_older(registry: FakeRegistry, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    first = run_update(state, registry.url).manifest_sha256
    second = move_to_1_1_0(registry, tmp_path)
    assert run_update(state, registry.url).manifest_sha256 == second
    assert (state.active_sha256(), state.previous.readlink().name) == (second, first)
    third = registry.publish(copy_bundle(tmp_path / "v1.2.0", version="1.2.0"), "dots", "1.2.0")
    registry.point("dots", "stable", "1.2.0", third)
    run_update(state, registry.url)
    assert {path.name for path in (tmp_path / "state" / "bundles").iterdir()} == {second, third}


def test_going_back_to_the_previous_bundle_downloads_nothing(registry: FakeRegistry, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    first = run_update(state, registry.url).manifest_sha256
    move_to_1_1_0(registry, tmp_path)
    run_update(state, registry.url)
    registry.point("dots", "stable", "1.0.0", first)
    registry.requests.clear()
    assert run_update(state, registry.url).changed
    assert state.active_sha256() == first
    assert len(registry.requests) == 1


def test_damaged_active_bundle_is_fetched_again(registry: FakeRegistry, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    run_update(state, registry.url)
    (state.active_bundle_folder() / "model.tflite").write_bytes(b"damaged")
    assert run_update(state, registry.url).changed
    assert open_bundle(state.active_bundle_folder()).manifest.version == "1.0.0"


@pytest.mark.parametrize(
    ("fault", "file_name", "error", "message"),
    [
        ("corrupt", "model.tflite", DigestMismatch, "model.tflite"),
        ("corrupt", "golden.npz", DigestMismatch, "golden.npz"),
        ("corrupt", "manifest.json", DigestMismatch, "manifest of dots 1.1.0"),
        ("corrupt", "channel", RegistryRefused, "no answer of a Plumbline registry"),
        ("cut", "model.tflite", RegistryUnavailable, "check --registry"),
        ("cut", "manifest.json", RegistryUnavailable, "check --registry"),
        ("silent", "model.tflite", RegistryUnavailable, "stayed silent for 0.3 s"),
        ("silent", "channel", RegistryUnavailable, "stayed silent"),
    ],
)
def test_failed_update_changes_nothing(
    registry: FakeRegistry, tmp_path: Path, fault: str, file_name: str, error: type[PlumblineError], message: str
) -> None:
    state = StateFolder(tmp_path / "state")
    first = run_update(state, registry.url).manifest_sha256
    before = everything_in(state.folder)
    wanted = move_to_1_1_0(registry, tmp_path)
    getattr(registry, fault).add(file_name)
    with pytest.raises(error, match=message):
        run_update(state, registry.url, timeout_seconds=0.3)
    assert state.active_sha256() == first
    assert everything_in(state.folder) == before
    getattr(registry, fault).clear()
    assert run_update(state, registry.url).manifest_sha256 == wanted


def test_bundle_that_misbehaves_on_this_device_is_not_activated(registry: FakeRegistry, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    first = run_update(state, registry.url).manifest_sha256
    before = everything_in(state.folder)
    bad = registry.publish(spoil_golden(copy_bundle(tmp_path / "bad", version="1.3.0")), "dots", "1.3.0")
    registry.point("dots", "stable", "1.3.0", bad)
    with pytest.raises(GoldenMismatch, match=r"dots 1\.3\.0"):
        run_update(state, registry.url)
    assert state.active_sha256() == first
    assert everything_in(state.folder) == before


def test_manifest_of_another_bundle_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    digest = registry.publish(tmp_path / "v1.1.0", "dots", "9.9.9")
    registry.point("dots", "stable", "9.9.9", digest)
    with pytest.raises(RegistryRefused, match=r"asked for dots 9\.9\.9, the manifest is that of dots 1\.1\.0"):
        run_update(StateFolder(tmp_path / "state"), registry.url)


def test_unknown_channel_says_what_the_registry_said(registry: FakeRegistry, tmp_path: Path) -> None:
    with RegistryClient(registry.url, 5) as client, pytest.raises(RegistryRefused, match=r"404: nothing is known of"):
        update(StateFolder(tmp_path / "state"), client, "dots", "canary", 1, lambda line: None)


def test_server_that_is_no_registry_is_told_in_one_line(tmp_path: Path) -> None:
    class WebServer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with serving(WebServer) as url, pytest.raises(RegistryRefused, match=r"404 and not as .*; check --registry$") as no:
        run_update(StateFolder(tmp_path / "state"), url)
    assert "\n" not in str(no.value)


def test_names_do_not_lead_elsewhere(registry: FakeRegistry, tmp_path: Path) -> None:
    with RegistryClient(registry.url, 5) as client, pytest.raises(RegistryRefused):
        update(StateFolder(tmp_path / "state"), client, "no/../dots", "stable", 1, lambda line: None)
    assert registry.requests == ["/v1/bundles/no%2F..%2Fdots/channels/stable"]


def test_registry_that_is_down(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(RegistryUnavailable, match=r"refused.*check --registry and that it is running"):
        run_update(StateFolder(tmp_path / "state"), url)


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/", "http://[broken"])
def test_registry_whose_url_is_none(tmp_path: Path, url: str) -> None:
    with pytest.raises(RegistryUnavailable):
        run_update(StateFolder(tmp_path / "state"), url)


def test_two_updates_at_once_do_not_meet(registry: FakeRegistry, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    run_update(state, registry.url)
    with (state.folder / "update.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UpdateInProgress, match="another update is running"):
            run_update(state, registry.url)


def test_killed_update_leaves_the_active_bundle_and_the_next_one_clears_up(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    state = StateFolder(tmp_path / "state")
    first = run_update(state, registry.url).manifest_sha256
    wanted = move_to_1_1_0(registry, tmp_path)
    registry.silent.add("golden.npz")
    command = [sys.executable, "-m", "plumbline_edge", "update", "--registry", registry.url, "--name", "dots"]
    process = subprocess.Popen([*command, "--state", str(state.folder)], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not list((state.folder / "incoming").glob("model.tflite")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (state.folder / "incoming").exists()
    assert state.active_sha256() == first
    assert open_bundle(state.active_bundle_folder()).manifest.version == "1.0.0"
    registry.silent.clear()
    assert run_update(state, registry.url).manifest_sha256 == wanted
    assert not (state.folder / "incoming").exists()


@pytest.mark.parametrize("step", ["keep", "activate", "prune"])
def test_failure_between_the_last_steps_leaves_a_bundle_active(
    registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    state = StateFolder(tmp_path / "state")
    first = run_update(state, registry.url).manifest_sha256
    wanted = move_to_1_1_0(registry, tmp_path)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StateFolder, step, fail)
        with pytest.raises(KeyboardInterrupt):
            run_update(state, registry.url)
    assert state.active_sha256() == (wanted if step == "prune" else first)
    open_bundle(state.active_bundle_folder())
    run_update(state, registry.url)
    assert state.active_sha256() == wanted
    assert open_bundle(state.active_bundle_folder()).manifest.version == "1.1.0"


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
