"""The live service as a process: the page, the picture, the numbers, systemd, and its end."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import httpx
import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.edge.bundles import copy_bundle
from tests.edge.dots import DOTS_FP32, picture, squats, standing, write_pictures
from tests.edge.http_fixtures import fake_registry, mjpeg_camera
from tests.edge.services import Service, service

from plumbline_edge.cli import main
from plumbline_edge.state import StateFolder
from plumbline_edge.web.static import page_files


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service on a repeated workout, shared by the tests that only look."""
    folder = write_pictures(tmp_path_factory.mktemp("live") / "frames", squats(1, rate=30.0))
    with service("--source", folder, "--loop") as running:
        running.wait_until(lambda: running.get("/readyz").status_code == 200)
        yield running


def test_page_and_its_files_ask_nobody_else(running: Service) -> None:
    page = running.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    asked = re.findall(r"""(?:src|href|action)=["']([^"'#]+)""", page.text)
    assert asked
    assert all(path.startswith(("/page/", "/api/")) for path in asked)
    for name, path in page_files().items():
        served = running.get(f"/page/{name}")
        assert (served.status_code, served.content) == (200, path.read_bytes())
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", served.text) == []
    assert running.get("/page/../app.py").status_code == running.get("/page/%2e%2e/app.py").status_code == 404


def test_state_tells_of_the_person_and_the_service(running: Service) -> None:
    running.wait_until(lambda: running.get("/api/state").json()["reps"] >= 1)
    state = running.get("/api/state").json()
    assert state["exercise"] == "squat"
    assert state["person_visible"] is True
    assert state["phase"] in {"standing", "descending", "bottom", "ascending"}
    assert 5 < state["fps"] < 40
    assert 0 < state["p95_latency_ms"] < 1000
    assert state["frame_age_seconds"] < 2
    assert state["bundle"]["name"] == "dots"


def test_metrics_show_fps_stages_and_reps(running: Service) -> None:
    running.wait_until(lambda: running.get("/api/state").json()["reps"] >= 1)
    response = running.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, sample.labels.get("stage", "")): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert 5 < samples["plumbline_edge_fps", ""] < 40
    assert samples["plumbline_edge_reps_total", ""] >= 1
    assert samples["plumbline_edge_person_visible", ""] == 1
    for stage in ("capture", "preprocess", "inference", "decode", "coach"):
        assert samples["plumbline_edge_stage_latency_seconds_count", stage] > 10
    assert samples["process_resident_memory_bytes", ""] < 300e6


def test_live_picture_moves_and_carries_the_skeleton(running: Service) -> None:
    first: npt.NDArray[np.uint8] | None = None
    moved = 0.0
    for image in islice(streamed_pictures(running), 150):
        assert image.shape == (360, 480, 3)
        first = image if first is None else first
        moved = max(moved, float(cv2.absdiff(first, image).mean()))
        # Between the shoulders lies a bone, and in the frames themselves nothing.
        assert (image[90:200, 225:255] > 150).any()
        if moved > 0.5:
            break
    assert moved > 0.5


def streamed_pictures(running: Service) -> Iterator[npt.NDArray[np.uint8]]:
    with httpx.stream("GET", f"{running.url}/stream.mjpg", timeout=30) as response:
        assert response.headers["content-type"] == "multipart/x-mixed-replace; boundary=plumbline-picture"
        received = b""
        for block in response.iter_raw():
            received += block
            *complete, received = received.split(b"--plumbline-picture\r\n")
            for part in filter(None, complete):
                jpeg = part.partition(b"\r\n\r\n")[2]
                yield np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)


def test_health_and_errors_have_one_shape(running: Service) -> None:
    assert running.get("/healthz").json() == {"status": "ok"}
    assert running.get("/readyz").json() == {"status": "ready"}
    assert running.get("/nowhere").json()["error"]["code"] == "not_found"


def test_too_many_viewers_are_told(running: Service) -> None:
    with httpx.Client(limits=httpx.Limits(max_connections=20)) as client:
        streams = [client.stream("GET", f"{running.url}/stream.mjpg", timeout=30) for _ in range(8)]
        for stream in streams:
            assert stream.__enter__().status_code == 200
        refused = running.get("/stream.mjpg")
        for stream in streams:
            stream.__exit__(None, None, None)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "too_many_viewers"
    running.wait_until(lambda: "plumbline_edge_viewers 0.0" in running.get("/metrics").text)


def test_live_line_and_clean_stop_even_with_a_viewer(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 10)
    with (
        service("--source", folder, "--loop") as running,
        httpx.stream("GET", f"{running.url}/stream.mjpg", timeout=30) as response,
    ):
        assert next(response.iter_raw())
        time.sleep(2.5)
        started_at = time.monotonic()
        code, out = running.terminate()
    assert code == 0
    assert time.monotonic() - started_at < 8
    assert len(re.findall(r"^live +\d+\.\d FPS   p95 +\d+\.\d ms   squat reps \d+", out, re.MULTILINE)) >= 2
    assert re.search(r"^stopped after \d+ frames, 0 reps$", out, re.MULTILINE)


def test_file_without_loop_ends_by_itself(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 15)
    with service("--source", folder) as running:
        out, _ = running.process.communicate(timeout=60)
        assert running.process.returncode == 0
    assert "stopped after" in out


def test_systemd_hears_ready_watchdog_and_stopping(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 10)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        with service(
            "--source", folder, "--loop", environment={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        ) as running:
            listener.settimeout(20)
            assert listener.recv(100) == b"READY=1"
            assert listener.recv(100) == b"WATCHDOG=1"
            running.terminate()
        heard = []
        while select.select([listener], [], [], 0)[0]:
            heard.append(listener.recv(100))
    assert heard[-1] == b"STOPPING=1"


def test_standstill_shows_in_health_while_the_watchdog_is_fed_on(tmp_path: Path) -> None:
    """A camera that goes away: unhealthy with the reason, alive all the same; the numbers say so, and see nobody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        settings = {"PLUMBLINE_EDGE_STALE_AFTER_SECONDS": "1", "NOTIFY_SOCKET": str(tmp_path / "notify")}
        shown = picture(standing(240, 30, 300))
        with mjpeg_camera(pictures_a_connection=200, shows=shown) as camera:
            with_camera = service("--source", camera, environment={**os.environ, **settings})
            running = with_camera.__enter__()
            running.wait_until(lambda: running.get("/readyz").status_code == 200)
            running.wait_until(lambda: running.state()["person_visible"] and running.state()["phase"] == "standing")
            assert {"plumbline_edge_person_visible 1.0", "plumbline_edge_tracking 1.0"} <= set(metric_lines(running))
        try:
            running.wait_until(lambda: running.get("/healthz").status_code == 503)
            error = running.get("/healthz").json()["error"]
            assert error["code"] == "unhealthy"
            assert re.fullmatch(r"no frame for \d+ s", error["message"])
            assert running.get("/readyz").json()["error"]["code"] == "not_ready"
            assert "plumbline_edge_source_up 1.0" in running.get("/metrics").text
            running.wait_until(lambda: "plumbline_edge_source_up 0.0" in running.get("/metrics").text)
            assert {"plumbline_edge_person_visible 0.0", "plumbline_edge_tracking 0.0"} <= set(metric_lines(running))
            state = running.state()
            assert (state["person_visible"], state["phase"], state["progress"]) == (False, "looking", None)
            while select.select([listener], [], [], 0)[0]:
                listener.recv(100)
            # A restart brings no camera back: systemd must not try one.
            assert select.select([listener], [], [], 5)[0] != []
            assert listener.recv(100) == b"WATCHDOG=1"
            assert running.terminate()[0] == 0
        finally:
            with_camera.__exit__(None, None, None)


def metric_lines(running: Service) -> list[str]:
    return running.get("/metrics").text.splitlines()


CAMERA = """#!/usr/bin/env python3
import os, sys, time
if not os.path.exists({plugged!r}):
    sys.exit("ERROR: *** no cameras available ***")
while True:
    sys.stdout.buffer.write(bytes(128 * 96 * 3 // 2))
    sys.stdout.flush()
    time.sleep(0.05)
"""


def test_a_camera_that_is_not_there_at_boot_is_waited_for_under_systemd_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program, plugged = tmp_path / "rpicam-vid", tmp_path / "plugged"
    program.write_text(CAMERA.format(plugged=str(plugged)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PLUMBLINE_EDGE_RESOLUTION", "128x96")
    monkeypatch.setenv("PLUMBLINE_EDGE_STALE_AFTER_SECONDS", "1")
    assert main(["run", "--bundle", str(DOTS_FP32), "--source", "picamera", "--port", "0"]) == 2
    assert "no cameras available" in capfd.readouterr().err
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert main(["run", "--bundle", str(DOTS_FP32), "--source", "missing.mp4", "--port", "0"]) == 2
        with service("--source", "picamera") as running:
            assert [listener.recv(100), listener.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
            running.wait_until(lambda: running.get("/healthz").status_code == 503)
            assert re.fullmatch(r"no frame for \d+ s", running.get("/healthz").json()["error"]["message"])
            assert running.get("/readyz").status_code == 503
            plugged.touch()
            running.wait_until(lambda: running.get("/readyz").status_code == 200)
            assert running.terminate()[0] == 0


def test_port_that_is_taken(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), picture(None))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["run", "--bundle", str(DOTS_FP32), "--source", str(tmp_path), "--port", port]) == 2
    assert f"error: cannot listen on 127.0.0.1:{port}: Address already in use" in capfd.readouterr().err


def test_an_ipv6_address_may_stand_in_brackets(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 10)
    with service("--source", folder, "--loop", "--host", "[::1]") as running:
        assert running.url.startswith("http://[::1]:")
        assert running.get("/metrics").status_code == 200


def test_service_changes_over_to_the_bundle_that_an_update_activates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = write_pictures(tmp_path / "frames", squats(1, rate=30.0))
    with fake_registry() as registry:
        root, state = tmp_path / "root.json", tmp_path / "state"
        root.write_bytes(registry.repository.anchor)
        follow = ["update", "--registry", registry.url, "--root", str(root), "--name", "dots", "--state", str(state)]
        first = registry.give(copy_bundle(tmp_path / "v1"))
        assert main(follow) == 0
        with service("--source", frames, "--loop", "--state", state, bundle=None) as running:
            running.wait_until(lambda: f'manifest_sha256="{first}"' in running.get("/metrics").text)
            gaps = Gaps(running)
            second = registry.give(copy_bundle(tmp_path / "v2", version="2.0.0"))
            monkeypatch.setenv("PLUMBLINE_EDGE_WATCH_SECONDS", "1")
            assert main([*follow, "--health-url", running.url]) == 0
            assert f'manifest_sha256="{second}"' in running.get("/metrics").text
            assert "plumbline_edge_updates_total 2.0" in running.get("/metrics").text
            assert gaps.longest_seconds() < 1.0
            broken = copy_bundle(state / "bundles" / "broken", version="3.0.0")
            (broken / "model.tflite").write_bytes(b"cut off")
            StateFolder(state).activate("broken")
            time.sleep(2)
            assert running.get("/readyz").status_code == 200
            assert f'manifest_sha256="{second}"' in running.get("/metrics").text
            code, out = running.terminate()
            assert code == 0
            assert "changed over to dots 2.0.0 fp32" in out
            assert len(re.findall("^warning: the active bundle cannot be used, the one before stays: ", out, re.M)) == 1


class Gaps:
    """Watches the frame counter, and knows the longest time that it stood still."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self._longest = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        frames, changed_at = -1, time.monotonic()
        while not self._done.wait(0.05):
            now, seen = time.monotonic(), self._running.get("/api/state").json()["frames"]
            self._longest = max(self._longest, now - changed_at)
            if seen != frames:
                frames, changed_at = seen, now

    def longest_seconds(self) -> float:
        self._done.set()
        self._thread.join()
        return self._longest


def test_from_elsewhere_the_page_needs_its_token_and_probes_do_not(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 10)
    command = [sys.executable, "-m", "plumbline_edge", "run", "--bundle", str(DOTS_FP32), "--source", str(folder)]
    everywhere = "0.0.0.0"  # noqa: S104  # the very case that needs a token
    with subprocess.Popen(
        [*command, "--loop", "--port", "0", "--host", everywhere, "--state", str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        found = re.match(r"page    http://0\.0\.0\.0:(\d+)/\?token=(\S{32})$", process.stdout.readline().strip())
        assert found is not None
        url, token = f"http://127.0.0.1:{found[1]}", found[2]
        elsewhere = {"Host": "192.168.1.20"}
        assert (tmp_path / "state" / "page-token").stat().st_mode & 0o777 == 0o600
        with httpx.Client(base_url=url, headers=elsewhere, timeout=30) as client:
            for path in ("/", "/api/state", "/stream.mjpg", "/?token=wrong", "/openapi.json"):
                refused = client.get(path)
                assert (refused.status_code, refused.json()["error"]["code"]) == (401, "token_needed")
            assert client.get("/metrics").status_code == client.get("/healthz").status_code == 200
            assert client.get("/api/state", headers={"Authorization": f"Bearer {token}"}).status_code == 200
            welcome = client.get("/", params={"token": token})
            assert (welcome.status_code, welcome.headers["location"]) == (303, "/")
            assert "HttpOnly" in welcome.headers["set-cookie"]
            assert "SameSite=lax" in welcome.headers["set-cookie"]
            cookie = welcome.headers["set-cookie"].partition(";")[0]
            assert client.get("/", headers={"Cookie": cookie}).status_code == 200
        assert httpx.get(f"{url}/api/state").status_code == 200
        process.terminate()


def test_page_elsewhere_whose_name_leads_to_this_machine_is_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 10)
    with service("--source", folder, "--loop", "--state", tmp_path / "state") as running:
        port = running.url.rpartition(":")[2]
        # Browsers take these signs in a name.
        odd = [f"a{sign}b.rebound.example" for sign in '{}"`']
        for name in ("rebound.example", *odd, "["):
            refused = httpx.get(f"{running.url}/api/state", headers={"Host": f"{name}:{port}"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_this_machine"), name
        for name in ("localhost", "127.0.0.1", "[::1]"):
            assert httpx.get(f"{running.url}/api/state", headers={"Host": f"{name}:{port}"}).status_code == 200
        assert httpx.get(f"{running.url}/metrics", headers={"Host": "pi.example"}).status_code == 200


def test_logs_are_json_when_asked_for(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 60)
    environment = {**os.environ, "PLUMBLINE_EDGE_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "plumbline_edge", "run", "--bundle", str(DOTS_FP32), "--source", str(folder)]
    out = subprocess.check_output([*command, "--port", "0"], env=environment, text=True, timeout=60)
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    assert lines[0]["source"] == str(folder)
    assert any(line.get("exercise") == "squat" and line["fps"] >= 0 for line in lines)
    assert re.fullmatch(r"stopped after \d+ frames, 0 reps", lines[-1]["message"])
