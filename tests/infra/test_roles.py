"""What the roles write and refuse, by Ansible on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.infra.machine import ROOT, free_port, program, running, wait_for
from tests.infra.playing import ANSIBLE, play, run_playbook
from tests.infra.servers import answering


def _tasks(path: str, **places: str) -> list[dict[str, Any]]:
    """A role's tasks as this user can run them: files stay this user's own. `places`: template -> its new place."""
    found: list[dict[str, Any]] = yaml.safe_load((ANSIBLE / "roles" / path).read_text())
    for task in found:
        for module in ("ansible.builtin.template", "ansible.builtin.copy", "ansible.builtin.file"):
            arguments = task.get(module, {})
            arguments.pop("owner", None)
            arguments.pop("group", None)
            if arguments.get("src") in places:
                arguments["dest"] = places[arguments["src"]]
    return found


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
    code, said = play(folder, [write], **defaults)
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
    code, said = play(tmp_path, [include], "--check", edge_app_source="picamera")
    assert code != 0
    text = " ".join(said.split())
    assert "localhost has no rpicam-vid; on Raspberry Pi OS install it: apt install rpicam-apps" in text
    code, said = play(tmp_path, [include], "--check", edge_app_source="0")
    assert code == 0, said


@pytest.mark.parametrize("code", ["channel_empty", "unknown_bundle"])
def test_a_channel_that_gives_nothing_is_told_before_the_updater_runs(tmp_path: Path, code: str) -> None:
    include = {"ansible.builtin.include_role": {"name": "edge_bundle"}}
    place = {
        "edge_bundle_state_dir": str(tmp_path),
        "edge_bundle_channel": "canary",
        "edge_app_root": str(tmp_path / "no"),
    }
    body = json.dumps({"error": {"code": code, "message": "nothing"}})
    with answering(lambda path: (404, body), "application/json") as url:
        failed, said = play(tmp_path, [include], edge_bundle_registry=url, **place)
        dry, said_dry = play(tmp_path, [include], "--check", edge_bundle_registry=url, **place)
    text = " ".join(said.split())
    assert failed != 0
    assert f"the channel canary of {url} gives no hrnet-edge-s; publish a bundle" in text
    assert "plumbline-registry promote hrnet-edge-s VERSION canary --reason" in text
    assert "Have the device update itself" not in text
    assert dry == 0, said_dry


def test_a_dry_run_says_what_would_change_on_a_provisioned_pi(tmp_path: Path) -> None:
    folders = {"edge_bundle_config_dir": tmp_path / "etc", "edge_app_root": tmp_path / "opt"}
    places = {name: str(folder) for name, folder in folders.items()}
    for folder in folders.values():
        folder.mkdir()
    (tmp_path / "root.json").write_text("{}")
    places |= {"edge_bundle_state_dir": str(tmp_path), "edge_bundle_registry": "http://127.0.0.1:1"}
    roles = [
        {"ansible.builtin.include_role": {"name": "edge_bundle", "tasks_from": name}} for name in ("main", "follow")
    ]
    code, said = play(tmp_path, roles, "--check", "--diff", **places)
    assert code == 0, said
    assert f"after: {tmp_path}/root.json" in said
    assert "+PLUMBLINE_EDGE_CHANNEL=stable" in said

    for folder in folders.values():
        folder.rmdir()
    code, said = play(tmp_path, roles, "--check", "--diff", **places)
    assert code == 0, said
    assert "PLUMBLINE_EDGE_CHANNEL" not in said


def test_a_pi_on_another_port_is_watched_and_reached_there(tmp_path: Path) -> None:
    template = {
        "src": str(ANSIBLE / "roles/monitoring/templates/targets.yml.j2"),
        "dest": f"{tmp_path}/{{{{ item.job }}}}",
    }
    loop = [
        {"job": "edge", "port": "{{ monitoring_edge_port }}"},
        {"job": "node", "port": "{{ monitoring_node_port }}"},
    ]
    write = {"ansible.builtin.template": template, "loop": loop}
    rules = {
        "src": str(ANSIBLE / "roles/edge_host/templates/plumbline.nft.j2"),
        "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}",
    }
    playbook = tmp_path / "playbook.yml"
    watch = {
        "hosts": "watcher",
        "gather_facts": False,
        "vars_files": [str(ANSIBLE / "roles/monitoring/defaults/main.yml")],
        "tasks": [write],
    }
    close = {"hosts": "edge", "gather_facts": False, "vars_files": [str(ANSIBLE / "roles/edge_host/defaults/main.yml")]}
    close["tasks"] = [{"ansible.builtin.template": rules}]
    playbook.write_text(yaml.safe_dump([watch, close]))
    pis = {"pi-01": {"ansible_host": "192.168.1.101"}, "pi-02": {"ansible_host": "fd00::2", "edge_app_port": 9000}}
    code, said = run_playbook(playbook, {"edge": {"hosts": pis}, "all": {"hosts": {"watcher": {}}}})
    assert code == 0, said
    targets = {job: yaml.safe_load((tmp_path / job).read_text()) for job in ("edge", "node")}
    assert [entry["targets"] for entry in targets["edge"]] == [["192.168.1.101:8080"], ["[fd00::2]:9000"]]
    assert [entry["targets"] for entry in targets["node"]] == [["192.168.1.101:9100"], ["[fd00::2]:9100"]]
    assert "tcp dport { 8080, 9100 } accept" in (tmp_path / "pi-01").read_text()
    assert "tcp dport { 9000, 9100 } accept" in (tmp_path / "pi-02").read_text()


@pytest.mark.parametrize(("role", "name"), [("edge_gate", "edge_gate_url"), ("edge_bundle", "edge_bundle_health_url")])
def test_the_service_is_asked_where_it_listens(tmp_path: Path, role: str, name: str) -> None:
    hosts = ("127.0.0.1", "0.0.0.0", "::", "192.168.1.7", "fd00::7", "pi-07.lan")  # noqa: S104 (nothing listens)
    say = {
        "ansible.builtin.debug": {"msg": f"{{{{ {name} }}}}"},
        "loop": list(hosts),
        "vars": {"edge_app_host": "{{ item }}"},
    }
    include = {"ansible.builtin.include_vars": str(ANSIBLE / f"roles/{role}/defaults/main.yml")}
    code, said = play(tmp_path, [include, say])
    assert code == 0, said
    asked = [line.split('"msg": ')[1].strip('"') for line in said.splitlines() if '"msg": ' in line]
    own, others = ["http://127.0.0.1:8080"] * 3, ("192.168.1.7", "[fd00::7]", "pi-07.lan")
    assert asked == [*own, *(f"http://{host}:8080" for host in others)]


def test_unit_opens_the_loudspeaker_where_cues_are_spoken(tmp_path: Path) -> None:
    role = ANSIBLE / "roles/edge_app"
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    names = ("plumbline-edge.service", "edge.env")
    write = {
        "ansible.builtin.template": {
            "src": f"{role}/templates/{{{{ item }}}}.j2",
            "dest": f"{tmp_path}/{{{{ item }}}}",
        },
        "loop": list(names),
    }
    for source, devices in (
        ("0", {"char-video4linux rw", "char-media rw", "char-alsa rw"}),
        ("/a.mp4", {"char-alsa rw"}),
    ):
        code, said = play(tmp_path, [write], **(defaults | {"edge_app_source": source, "edge_app_speak": True}))
        assert code == 0, said
        unit, environment = ((tmp_path / name).read_text().splitlines() for name in names)
        assert {line.removeprefix("DeviceAllow=") for line in unit if line.startswith("DeviceAllow=")} == devices
        assert {"SupplementaryGroups=audio", "DevicePolicy=closed"} <= set(unit)
        assert "PrivateDevices=yes" not in unit
        assert "PLUMBLINE_EDGE_SPEAK=true" in environment


def test_a_voice_that_the_unit_would_silence_is_refused(tmp_path: Path) -> None:
    include = {"ansible.builtin.include_role": {"name": "edge_app", "tasks_from": "preflight"}}
    for value, refused in (("true", True), (False, False)):
        code, said = play(tmp_path, [include], "--check", edge_app_environment={"PLUMBLINE_EDGE_SPEAK": value})
        assert (code != 0) is refused, said
        assert ("set edge_app_speak: true instead" in " ".join(said.split())) is refused
    spoken = {"edge_app_environment": {"PLUMBLINE_EDGE_SPEAK": True}, "edge_app_speak": True}
    code, said = play(tmp_path, [include], "--check", **spoken)
    assert code == 0, said


def test_time_servers_are_named_only_to_the_service_that_reads_them(tmp_path: Path) -> None:
    include = {"ansible.builtin.include_role": {"name": "edge_host", "tasks_from": "system"}}
    settings = {"edge_host_ntp_servers": ["ntp.example.lan"], "edge_host_swap_mb": 0}
    code, said = play(tmp_path, [include], "--check", "--diff", edge_host_packages=["systemd-timesyncd"], **settings)
    assert code == 0, said
    assert "+NTP=ntp.example.lan" in said
    code, said = play(tmp_path, [include], "--check", "--diff", edge_host_packages=[], **settings)
    assert code != 0
    assert "which this role does not configure" in " ".join(said.split())
    assert "+NTP=" not in said


@pytest.mark.parametrize(("restart", "restarted"), [(False, False), (True, True)])
def test_a_turn_after_one_that_was_cut_off_restarts_though_nothing_changed(
    tmp_path: Path, restart: bool, restarted: bool
) -> None:
    (task,) = (task for task in _tasks("edge_app/tasks/run.yml") if task["name"] == "Restart with what changed")
    assert task.pop("ansible.builtin.include_tasks") == "restart.yml"
    task["ansible.builtin.debug"] = {"msg": "restarts"}
    same = {"changed": False}
    code, said = play(tmp_path, [task], edge_app_restart=restart, edge_app_settings=same, edge_app_unit=same)
    assert code == 0, said
    assert ("restarts" in said) is restarted


def test_going_back_after_a_second_turn_brings_the_settings_from_before_the_first(tmp_path: Path) -> None:
    role = ANSIBLE / "roles/edge_app"
    written = {"edge.env": tmp_path / "edge.env", "plumbline-edge.service": tmp_path / "plumbline-edge.service"}
    for file in written.values():
        file.write_text("from before\n")
    configure = _tasks("edge_app/tasks/configure.yml", **{f"{name}.j2": str(file) for name, file in written.items()})
    # Without the folders.
    turn = [task for task in configure if task["name"] != "Make the folders"]
    for task in turn:
        if source := task.get("ansible.builtin.template"):
            source["src"] = str(role / "templates" / source["src"])
    # The second finds nothing to do; the third writes the settings once more.
    first, other = ({"ansible.builtin.set_fact": {"edge_app_exercise": name}} for name in ("lunge", "squat"))
    turns = [first, *turn, *turn, other, *turn]
    settings, *_ = _tasks("edge_gate/tasks/roll_back.yml")
    settle = _tasks("edge_gate/tasks/settle.yml")
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    # Extra variables would win over the facts.
    del defaults["edge_app_exercise"]
    code, said = play(tmp_path, [*turns, settings, *settle], **defaults)
    assert code == 0, said
    assert {file.read_text() for file in written.values()} == {"from before\n"}
    assert sorted(path.name for path in tmp_path.glob("*edge*")) == sorted(written)


def test_going_back_keeps_the_release_before_within_the_operators_reach(tmp_path: Path) -> None:
    """Release c was switched to from b, which had been switched to from a; c fails."""
    for name, release in (("current", "c"), ("previous", "b")):
        (tmp_path / name).symlink_to(tmp_path / "releases" / release)
    was = {"release": f"{tmp_path}/releases/b", "previous_release": f"{tmp_path}/releases/a"}
    (task,) = (task for task in _tasks("edge_gate/tasks/roll_back.yml") if "release from before" in task["name"])
    code, said = play(tmp_path, [task], edge_gate_before={"links": was}, edge_gate_app_root=str(tmp_path))
    assert code == 0, said
    assert [(tmp_path / name).readlink().name for name in ("current", "previous")] == ["b", "a"]


def test_a_hold_lasts_from_now_though_an_older_one_is_there(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    tasks = _tasks("edge_bundle/tasks/hold.yml")
    variables = {"edge_bundle_config_dir": str(tmp_path), "edge_bundle_hold_reason": "rollout of a 1.4.0"}
    for _ in range(2):
        code, said = play(tmp_path, tasks, **variables)
        assert code == 0, said
        assert "changed=1 " in said
        assert hold.read_text().startswith("rollout of a 1.4.0, 2")
        assert time.time() - hold.stat().st_mtime < 60
        os.utime(hold, (0, 0))


SYSTEMCTL = """#!/bin/sh
echo "$*" >>{folder}/asked
[ "$1" = show ] && printf '%s\\n' LoadState={load} ActiveState={state}
exit 0
"""


@pytest.mark.parametrize(
    ("load", "state", "options", "stopped"),
    [
        ("loaded", "activating", (), True),
        ("loaded", "inactive", (), False),
        ("loaded", "failed", (), False),
        ("not-found", "inactive", (), False),
        ("loaded", "activating", ("--check",), False),
    ],
)
def test_an_update_under_way_is_stopped_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: str, state: str, options: tuple[str, ...], stopped: bool
) -> None:
    (tmp_path / "systemctl").write_text(SYSTEMCTL.format(folder=tmp_path, load=load, state=state))
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    include = {"ansible.builtin.include_role": {"name": "edge_bundle", "tasks_from": "stop"}}
    code, said = play(tmp_path, [include], *options)
    assert code == 0, said
    assert f"changed={int(stopped)} " in said
    asked = (tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else ""
    assert ("stop plumbline-update.service" in asked.replace("'", "")) is stopped


def test_pruning_keeps_what_the_links_lead_to(tmp_path: Path) -> None:
    """A second turn finds its release current already, and a newer one than the way back lies about."""
    oldest = ("old", "older", "oldest")
    for age, name in enumerate(("current", "tried", "previous", *oldest)):
        (tmp_path / "releases" / name).mkdir(parents=True)
        os.utime(tmp_path / "releases" / name, (10_000 - age, 10_000 - age))
    (tmp_path / "current").symlink_to(tmp_path / "releases/current")
    # Two releases see the same packages, the oldest ones others, and some were left by an installation that failed.
    seen = {"current": "shared", "previous": "shared", "tried": "of-tried", "old": "of-old"}
    for packages in ("shared", "of-tried", "of-old", "of-none"):
        (tmp_path / "dependencies" / packages).mkdir(parents=True)
    for name, packages in seen.items():
        (tmp_path / "releases" / name / "dependencies").symlink_to(tmp_path / "dependencies" / packages)
    now = str(tmp_path / "releases/current")
    settings = {"python_release_root": str(tmp_path), "python_release_path": now, "python_release_before": now}
    prune = {"ansible.builtin.include_role": {"name": "python_release", "tasks_from": "prune"}}

    def left(keep: int) -> tuple[set[str], set[str]]:
        code, said = play(tmp_path, [prune], python_release_keep=keep, **settings)
        assert code == 0, said
        releases, packages = (
            {path.name for path in (tmp_path / name).iterdir()} for name in ("releases", "dependencies")
        )
        return releases, packages

    assert left(3) == ({"current", "tried", "previous"}, {"shared", "of-tried"})
    (tmp_path / "previous").symlink_to(tmp_path / "releases/previous")
    assert left(2) == ({"current", "previous"}, {"shared"})
    assert left(1) == ({"current", "previous"}, {"shared"})


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd orders units")
def test_the_firewall_makes_no_boot_of_a_cloud_image_a_cycle(tmp_path: Path) -> None:
    """cloud-init comes after the network's beginning and before sysinit.target, which services come after."""
    (block,) = yaml.safe_load((ANSIBLE / "roles/edge_host/tasks/firewall.yml").read_text())
    (content,) = (
        copied["content"] for task in block["block"] if "content" in (copied := task.get("ansible.builtin.copy", {}))
    )
    assert {"Before=network-pre.target shutdown.target", "WantedBy=sysinit.target"} <= set(content.splitlines())
    cloud = "[Unit]\nDefaultDependencies=no\nAfter=network-pre.target\nBefore=sysinit.target\n"
    units = {"plumbline-firewall.service": content, "cloud-init.service": f"{cloud}[Service]\nExecStart=/bin/true\n"}
    wanted = tmp_path / "sysinit.target.wants"
    wanted.mkdir()

    def verified() -> str:
        for name, unit in units.items():
            (tmp_path / name).write_text(unit)
            (wanted / name).unlink(missing_ok=True)
            (wanted / name).symlink_to(tmp_path / name)
        known = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
        command = ["systemd-analyze", "verify", "multi-user.target"]
        return subprocess.run(command, env=known, capture_output=True, text=True, check=False).stderr

    assert "ordering cycle" not in verified()
    units["plumbline-firewall.service"] = content.replace("DefaultDependencies=no\n", "")
    assert "ordering cycle" in verified()


def test_a_pi_reports_where_it_is_named_and_has_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-of-pi-02\n")
    tasks = [task for task in _tasks("edge_bundle/tasks/follow.yml") if "ansible.builtin.systemd_service" not in task]
    tasks = [task for task in tasks if task["name"] != "Write the units of its own updates"]
    (write,) = (task for task in tasks if "ansible.builtin.template" in task)
    write["ansible.builtin.template"]["src"] = str(ANSIBLE / "roles/edge_bundle/templates/update.env.j2")
    defaults = yaml.safe_load((ANSIBLE / "roles/edge_bundle/defaults/main.yml").read_text())
    folder = tmp_path / "etc"
    folder.mkdir()
    places = defaults | {"edge_bundle_config_dir": str(folder)}
    code, said = play(tmp_path, tasks, **places)
    assert code == 0, said
    assert "DEVICE" not in (folder / "update.env").read_text()
    assert not (folder / "device.token").exists()

    named = {"edge_bundle_device": "pi-02", "edge_bundle_device_token_file": str(tmp_path / "token")}
    further = {"edge_bundle_environment": {"PLUMBLINE_EDGE_TIMEOUT_SECONDS": 20}}
    code, said = play(tmp_path, tasks, "--diff", "-vvv", **(places | named | further))
    assert code == 0, said
    assert "secret-of-pi-02" not in said
    assert (folder / "device.token").stat().st_mode & 0o777 == 0o640
    lines = (folder / "update.env").read_text().splitlines()
    reports = ["PLUMBLINE_EDGE_DEVICE=pi-02", f"PLUMBLINE_EDGE_DEVICE_TOKEN_FILE={folder}/device.token"]
    assert lines[-3:] == [*reports, "PLUMBLINE_EDGE_TIMEOUT_SECONDS=20"]
    code, said = play(tmp_path, tasks, **(places | named | further))
    assert "changed=0 " in said


def test_a_pi_that_should_report_without_a_token_is_told_before_anything_changes(tmp_path: Path) -> None:
    include = {"ansible.builtin.include_role": {"name": "edge_bundle", "tasks_from": "plan"}}
    named = {"edge_bundle_registry": "http://127.0.0.1:1", "edge_bundle_device": "pi-02"}
    code, said = play(tmp_path, [include], "--check", **named)
    assert code != 0
    assert "make a token on the registry's host" in " ".join(said.split())


def test_an_operators_token_of_another_control_host_is_not_ended(tmp_path: Path) -> None:
    known = tmp_path / "state/tokens.json"
    known.parent.mkdir()
    tasks = [task for task in _tasks("registry_host/tasks/trust.yml") if task["name"] not in WITH_A_REGISTRY]
    (make,) = (task for task in tasks if task["name"] == "Make a token")
    make["ansible.builtin.command"] = {"cmd": "echo made"}
    file = tmp_path / "operator.token"
    places = {
        "registry_host_token_file": str(file),
        "registry_host_state_name": f"../..{known.parent}",
        "registry_host_root": "/opt/plumbline-registry",
        "registry_host_user": "plumbline-registry",
    }
    known.write_text(json.dumps({"operator": {"sha256": "secret-hash"}, "signer": {}}))
    code, said = play(tmp_path, tasks, "-vvv", **places)
    assert code != 0
    text = " ".join(said.split())
    assert f"{file} is missing, and the registry on localhost knows an operator's token already: copy the file" in text
    assert "plumbline-registry token --name operator --scope admin" in text
    assert "secret-hash" not in said
    assert not file.exists()

    for content in (json.dumps({"signer": {}}), None):
        known.unlink() if content is None else known.write_text(content)
        code, said = play(tmp_path, tasks, **places)
        assert code == 0, said
        assert file.read_text() == "made\n"
        file.unlink()

    known.write_text(json.dumps({"operator": {}}))
    file.write_text("this one\n")
    code, said = play(tmp_path, tasks, **places)
    assert code == 0, said
    assert "changed=0 " in said


WITH_A_REGISTRY = ("Wait until it is ready", "Make the keys")


@pytest.mark.parametrize(
    ("tasks", "source"),
    [
        ("edge_app/tasks/configure.yml", "edge.env.j2"),
        ("registry_host/tasks/main.yml", "registry.env.j2"),
        ("monitoring/tasks/main.yml", "alertmanager.yml.j2"),
    ],
)
def test_files_that_may_hold_passwords_are_kept_from_others_and_from_diffs(tasks: str, source: str) -> None:
    found = yaml.safe_load((ANSIBLE / "roles" / tasks).read_text())
    (task,) = (task for task in found if task.get("ansible.builtin.template", {}).get("src") == source)
    assert task["ansible.builtin.template"]["mode"] == "0640"
    assert task["diff"] is False


def test_git_ignores_what_the_examples_of_the_docs_keep_secret() -> None:
    paths = (
        "operator.token",
        "var/operator.token",
        "keys/private/root.pem",
        "var/keys/private/root.pem",
        "runs/edge_s",
    )
    done = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == list(paths)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of one in tmp_path/state, set up with keys in tmp_path/keys and the operator's token."""
    tokens, url = f"--tokens-file={tmp_path}/state/tokens.json", f"http://127.0.0.1:{(port := free_port('127.0.0.1'))}"
    scopes = [f"--scope={scope}" for scope in ("admin", "promote", "sign")]
    (tmp_path / "operator.token").write_text(_registry("token", "--name=operator", *scopes, tokens))
    places = [f"--database-url=sqlite:///{tmp_path}/state/registry.sqlite3", f"--blob-dir={tmp_path}/state/blobs"]
    serve = [program("plumbline-registry"), "serve", f"--port={port}", tokens, *places]
    with running(serve, tmp_path / "registry.log"):
        wait_for("the registry", lambda: httpx.get(f"{url}/readyz").raise_for_status())
        _registry("init", *_operator(tmp_path, url))
        yield url


def _registry(*arguments: str) -> str:
    command = [program("plumbline-registry"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _operator(folder: Path, url: str) -> list[str]:
    return [f"--keys={folder}/keys", f"--token-file={folder}/operator.token", f"--url={url}"]


def test_the_signer_gets_two_keys_and_a_token_and_what_is_new_of_them(tmp_path: Path, registry: str) -> None:
    ours, signers = tmp_path / "keys/private", tmp_path / "signer"
    (tmp_path / "opt/current/venv").mkdir(parents=True)
    (tmp_path / "opt/current/venv/bin").symlink_to(Path(program("plumbline-registry")).parent)
    tasks = [
        task for task in _tasks("registry_host/tasks/signer_keys.yml") if "ansible.builtin.systemd_service" not in task
    ]
    (make,) = (task for task in tasks if task["name"] == "Make a token")
    # As this user.
    assert make["ansible.builtin.command"]["argv"][:4] == ["runuser", "--user", "{{ registry_host_user }}", "--"]
    del make["ansible.builtin.command"]["argv"][:4]
    places = {
        "registry_host_keys_dir": str(tmp_path / "keys"),
        "registry_host_signer_dir": str(signers),
        "registry_host_root": str(tmp_path / "opt"),
        "registry_host_state_name": f"../..{tmp_path}/state",
    }

    def changed() -> list[str]:
        code, said = play(tmp_path, tasks, "--diff", "-vvv", **places)
        assert code == 0, said
        assert "PRIVATE KEY" not in said
        assert (signers / "token").read_text() not in said
        return re.findall(r"^TASK \[(.*)\] \*+\n(?:(?!^TASK ).*\n)*?changed: ", said, re.MULTILINE)

    def sign() -> str:
        return _registry("sign", f"--keys={signers}", f"--token-file={signers}/token", f"--url={registry}")

    folders, trusted = "Make the folders of its keys", "Bring whom it trusts"
    assert changed() == [folders, trusted, "Bring its keys", "Make a token", "Keep it there"]
    files = {path: path.stat().st_mode & 0o777 for path in (signers, *signers.rglob("*"))}
    names = ("root.json", "token", "private/snapshot.pem", "private/timestamp.pem")
    assert files == {signers: 0o700, signers / "private": 0o700, **{signers / name: 0o600 for name in names}}
    assert sign() == "nothing to sign\n"

    # A restored registry knows none of today's tokens. A root.json that is newer than the control host's stays.
    _registry("token", "--revoke", "--name=signer", f"--tokens-file={tmp_path}/state/tokens.json")
    older = (tmp_path / "keys/root.json").read_bytes()
    _registry("rotate", "snapshot", *_operator(tmp_path, registry))
    assert sign() == "nothing to sign\n"
    newer = (signers / "root.json").read_bytes()
    assert newer == (tmp_path / "keys/root.json").read_bytes() != older
    (tmp_path / "keys/root.json").write_bytes(older)
    assert changed() == ["Bring its keys", "Make a token", "Keep it there"]
    assert (signers / "root.json").read_bytes() == newer
    assert (signers / "private/snapshot.pem").read_bytes() == (ours / "snapshot.pem").read_bytes()

    # The control host may give its two away; then they are the signer's alone.
    for name in ("snapshot", "timestamp"):
        (ours / f"{name}.pem").unlink()
    assert changed() == []
    _registry("rotate", "stable", *_operator(tmp_path, registry))
    assert sign() == "signed\n"
    (signers / "private/timestamp.pem").unlink()
    check = [task for task in tasks if task["name"] in ("Look for its keys", "Check that it has them")]
    code, said = play(tmp_path, check, **places)
    assert code != 0
    assert "set registry_host_signer to false and run the signer where they are" in " ".join(said.split())


def test_the_signer_asks_the_registry_where_it_listens(tmp_path: Path) -> None:
    hosts = ("127.0.0.1", "0.0.0.0", "::", "192.168.1.7", "fd00::7")  # noqa: S104 (nothing listens)
    say = {
        "ansible.builtin.debug": {"msg": "{{ registry_host_signer_url }}"},
        "loop": list(hosts),
        "vars": {"registry_host_address": "{{ item }}", "registry_host_port": 8200},
    }
    defaults = yaml.safe_load((ANSIBLE / "roles/registry_host/defaults/main.yml").read_text())
    code, said = play(tmp_path, [say], registry_host_signer_url=defaults["registry_host_signer_url"])
    assert code == 0, said
    asked = [line.split('"msg": ')[1].strip('"') for line in said.splitlines() if '"msg": ' in line]
    named = ("127.0.0.1", "127.0.0.1", "[::1]", "192.168.1.7", "[fd00::7]")
    assert asked == [f"http://{host}:8200" for host in named]


def test_the_signer_is_a_user_of_its_own_and_confined_as_the_registry(tmp_path: Path) -> None:
    role = ANSIBLE / "roles/registry_host"
    names = ["plumbline-registry.service", "plumbline-registry-signer.service"]
    template = {"src": f"{role}/templates/{{{{ item }}}}.j2", "dest": f"{tmp_path}/{{{{ item }}}}"}
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    code, said = play(tmp_path, [{"ansible.builtin.template": template, "loop": names}], **defaults)
    assert code == 0, said
    registry, signer = ((tmp_path / name).read_text() for name in names)
    assert registry.split("\n\n")[2] == signer.split("\n\n")[2]
    assert "User=plumbline-registry\n" in registry
    assert "User=plumbline-signer\n" in signer
    assert "EnvironmentFile" not in signer


def test_a_dry_run_on_a_bare_host_sets_up_no_signer(tmp_path: Path) -> None:
    include = {"ansible.builtin.include_role": {"name": "registry_host", "tasks_from": "signer"}}
    places = {"registry_host_signer_user": "nobody-of-that-name", "registry_host_signer_dir": str(tmp_path / "signer")}
    code, said = play(tmp_path, [include], "--check", "--diff", **places)
    assert code == 0, said
    assert "+User=nobody-of-that-name" in said
    assert not (tmp_path / "signer").exists()


def test_the_disk_of_the_registrys_host_is_watched(tmp_path: Path) -> None:
    template = {"src": str(ANSIBLE / "roles/monitoring/templates/targets.yml.j2"), "dest": f"{tmp_path}/targets.yml"}
    watch = {
        "hosts": "pi-01",
        "gather_facts": False,
        "vars_files": [str(ANSIBLE / "roles/monitoring/defaults/main.yml")],
        "tasks": [{"ansible.builtin.template": template}],
        "vars": {"item": {"job": "node", "port": 9100}},
    }
    (tmp_path / "playbook.yml").write_text(yaml.safe_dump([watch]))
    for settings, registries in (({}, [["192.168.1.9:9100"]]), ({"registry_host_node_exporter": False}, [])):
        inventory = {
            "edge": {"hosts": {"pi-01": {}}},
            "registry": {"hosts": {"registry.example.lan": {"ansible_host": "192.168.1.9", **settings}}},
        }
        code, said = run_playbook(tmp_path / "playbook.yml", inventory)
        assert code == 0, said
        targets = yaml.safe_load((tmp_path / "targets.yml").read_text())
        assert [entry["targets"] for entry in targets] == [["pi-01:9100"], *registries]
        assert [entry["labels"] for entry in targets] == [{"pi": "pi-01"}, {"host": "registry.example.lan"}][
            : len(targets)
        ]
