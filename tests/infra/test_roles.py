"""What the roles write and refuse, by Ansible on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.infra.machine import ROOT, program
from tests.infra.servers import answering

ANSIBLE = ROOT / "infra/ansible"


def _play(tmp_path: Path, tasks: list[dict[str, Any]], *options: str, **variables: object) -> tuple[int, str]:
    """Play the tasks on this machine; exit code and what Ansible printed."""
    playbook = tmp_path / "playbook.yml"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    playbook.write_text(yaml.safe_dump([play]))
    known = {"ansible_python_interpreter": sys.executable, **variables}
    command = [program("ansible-playbook"), "-i", "localhost,", str(playbook), "-e", json.dumps(known), *options]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Source -> lines of the service's unit."""
    folder = tmp_path_factory.mktemp("units")
    role = ANSIBLE / "roles/edge_app"
    sources = ("0", "/dev/video2", "picamera", "picamera:1", "rtsp://camera/stream", "/srv/clip.mp4", "picamera.mp4")
    template = {"src": str(role / "templates/plumbline-edge.service.j2"), "dest": f"{folder}/{{{{ item.0 }}}}"}
    write = {
        "ansible.builtin.template": template,
        "loop": list(map(list, enumerate(sources))),
        "vars": {"edge_app_source": "{{ item.1 }}"},
    }
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    # Extra variables would win over the loop's.
    del defaults["edge_app_source"]
    code, said = _play(folder, [write], **defaults)
    assert code == 0, said
    return {source: (folder / str(number)).read_text().splitlines() for number, source in enumerate(sources)}


def test_unit_opens_the_pis_own_camera_to_rpicam_vid(units: dict[str, list[str]]) -> None:
    for source in ("picamera", "picamera:1"):
        unit = units[source]
        assert "PrivateDevices=yes" not in unit
        allowed = {line.removeprefix("DeviceAllow=") for line in unit if line.startswith("DeviceAllow=")}
        assert allowed == {"char-video4linux rw", "char-media rw", "char-dma_heap rw", "/dev/vchiq rw"}
        assert {"SupplementaryGroups=video", "DevicePolicy=closed", "RestrictAddressFamilies=AF_NETLINK"} <= set(unit)


def test_unit_opens_a_camera_and_nothing_else(units: dict[str, list[str]]) -> None:
    for source in ("0", "/dev/video2"):
        unit = units[source]
        assert "PrivateDevices=yes" not in unit
        allowed = {line for line in unit if line.startswith("DeviceAllow=")}
        assert allowed == {"DeviceAllow=char-video4linux rw", "DeviceAllow=char-media rw"}
        assert "RestrictAddressFamilies=AF_NETLINK" not in unit


def test_unit_opens_no_device_without_a_camera(units: dict[str, list[str]]) -> None:
    for source in ("rtsp://camera/stream", "/srv/clip.mp4", "picamera.mp4"):
        unit = units[source]
        assert "PrivateDevices=yes" in unit
        assert not [line for line in unit if line.startswith(("DeviceAllow=", "SupplementaryGroups="))]


def test_the_pis_own_camera_needs_its_program(tmp_path: Path) -> None:
    include = {"ansible.builtin.include_role": {"name": "edge_app", "tasks_from": "preflight"}}
    code, said = _play(tmp_path, [include], "--check", edge_app_source="picamera")
    assert code != 0
    text = " ".join(said.split())
    assert "localhost has no rpicam-vid; on Raspberry Pi OS install it: apt install rpicam-apps" in text
    code, said = _play(tmp_path, [include], "--check", edge_app_source="0")
    assert code == 0, said


@pytest.mark.parametrize("code", ["channel_empty", "unknown_bundle"])
def test_a_channel_that_gives_nothing_is_told_before_the_updater_runs(tmp_path: Path, code: str) -> None:
    include = {"ansible.builtin.include_role": {"name": "edge_bundle"}}
    place = {"edge_bundle_state_dir": str(tmp_path), "edge_bundle_channel": "canary"}
    body = json.dumps({"error": {"code": code, "message": "nothing"}})
    with answering(lambda path: (404, body), "application/json") as url:
        failed, said = _play(tmp_path, [include], edge_bundle_registry=url, **place)
        dry, said_dry = _play(tmp_path, [include], "--check", edge_bundle_registry=url, **place)
    text = " ".join(said.split())
    assert failed != 0
    assert f"the channel canary of {url} gives no hrnet-edge-s; publish a bundle" in text
    assert "plumbline-registry promote hrnet-edge-s VERSION canary --reason" in text
    assert "Have the device update itself" not in text
    assert dry == 0, said_dry
