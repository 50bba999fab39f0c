"""Playbooks, or parts of them, on this machine: what tests/infra/fleet plays whole, on stand-in Pis."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.infra.playing import ANSIBLE, play, run_playbook


def test_report_lies_in_var_deploy_unless_another_place_is_named(tmp_path: Path) -> None:
    """In a checkout where nothing was ever rolled out."""
    folder = tmp_path / "infra/ansible"
    for name in ("tasks", "templates"):
        shutil.copytree(ANSIBLE / name, folder / name)
    include = [{"ansible.builtin.include_tasks": "tasks/report.yml"}]
    code, said = play(folder, include, deploy_first="localhost")
    assert code == 0, said
    (report,) = (tmp_path / "var/deploy").glob("*.md")
    assert report.read_text().startswith("# Rollout of ")

    code, said = play(folder, include, deploy_first="localhost", deploy_report=str(tmp_path / "report.md"))
    assert code == 0, said
    assert (tmp_path / "report.md").is_file()
    assert list((tmp_path / "var/deploy").iterdir()) == [report]


@pytest.fixture
def pis(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """One that does not answer, one that runs its first bundle, and one with a bundle to go back to; in this order."""
    (tmp_path / "ssh").write_text("#!/bin/sh\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    hosts = {
        "pi-01": {"ansible_connection": "ssh", "ansible_ssh_executable": str(tmp_path / "ssh")},
        "pi-02": {},
        "pi-03": {},
    }
    for name in hosts:
        state = tmp_path / name
        state.mkdir()
        hosts[name] |= {"state": str(state), "edge_app_config_dir": str(state)}
        (state / "active").symlink_to("bundles/new")
    (tmp_path / "pi-03/bundles/old").mkdir(parents=True)
    (tmp_path / "pi-03/previous").symlink_to("bundles/old")
    return hosts


def _roll_back(tmp_path: Path, pis: dict[str, dict[str, Any]], **settings: object) -> tuple[int, str]:
    """Dry, since the swap would go on to systemd."""
    links = {"bundle": "{{ state }}/active", "app": "{{ state }}/current"}
    settings |= {"rollback_links": links, "edge_app_user": "root", "rollback_batch": 1}
    for name in ("meet.yml", "rollback.yml"):
        shutil.copy(ANSIBLE / name, tmp_path)
    return run_playbook(tmp_path / "rollback.yml", {"edge": {"hosts": pis}}, "--check", "--diff", **settings)


def test_going_back_passes_over_those_that_cannot(tmp_path: Path, pis: dict[str, dict[str, Any]]) -> None:
    code, said = _roll_back(tmp_path, pis)
    assert code == 0, said
    text = " ".join(said.split())
    assert "do not answer and stay as they are: pi-01" in text
    assert "promote an older version and run deploy.yml: pi-02" in text
    assert f"path: {tmp_path}/pi-03/active" in text.replace('"', "")
    assert "src: bundles/old" in text.replace('"', "")
    assert "TASK [edge_gate : Swap them]" in text
    assert "changed: [pi-02]" not in text
    assert "check out the commit" not in text


def test_going_back_fails_where_nobody_can(tmp_path: Path, pis: dict[str, dict[str, Any]]) -> None:
    code, said = _roll_back(tmp_path, {name: pi for name, pi in pis.items() if name != "pi-03"})
    assert code != 0
    assert "no Pi that answers has a way back" in said


def test_a_way_back_leads_to_what_is_there(tmp_path: Path, pis: dict[str, dict[str, Any]]) -> None:
    (tmp_path / "pi-03/bundles/old").rmdir()
    code, said = _roll_back(tmp_path, pis)
    assert code != 0
    assert re.search(r"run deploy\.yml: (pi-02, pi-03|pi-03, pi-02)", " ".join(said.split()))


def test_after_the_program_went_back_the_next_step_is_told(tmp_path: Path, pis: dict[str, dict[str, Any]]) -> None:
    for name in ("new", "old"):
        (tmp_path / "pi-03/releases" / name).mkdir(parents=True)
    for link, name in (("current", "new"), ("previous", "old")):
        (tmp_path / "pi-03" / link).unlink(missing_ok=True)
        (tmp_path / "pi-03" / link).symlink_to(tmp_path / "pi-03/releases" / name)
    code, said = _roll_back(tmp_path, pis, what="app")
    assert code == 0, said
    text = " ".join(said.split())
    assert f"src: {tmp_path}/pi-03/releases/old" in text.replace('"', "")
    assert "before any deploy.yml check out the commit that these Pis run now" in text


def _included(tasks: list[dict[str, Any]]) -> list[str]:
    """Names of the tasks in their order; an included role's as role/file."""
    found = []
    for task in tasks:
        role = task.get("ansible.builtin.include_role", {})
        found.append(f"{role['name']}/{role.get('tasks_from', 'main')}" if role else task["name"])
    return found


def test_the_pis_own_update_is_stopped_before_links_are_read_and_the_service_is_touched() -> None:
    (hold,) = (play for play in yaml.safe_load((ANSIBLE / "deploy.yml").read_text()) if "Hold back" in play["name"])
    held = _included(hold["tasks"])
    assert (
        held.index("Stop an update that is under way") < held.index("edge_bundle/plan") < held.index("edge_bundle/hold")
    )
    _, look, *_ = yaml.safe_load((ANSIBLE / "rollback.yml").read_text())
    way_back = _included(look["tasks"])
    assert way_back.index("edge_bundle/stop") < way_back.index("edge_gate/way_back")
    back = _included(yaml.safe_load((ANSIBLE / "roles/edge_gate/tasks/back_to_previous.yml").read_text()))
    order = ["edge_bundle/hold", "edge_bundle/stop", "See what is active and what was before", "Swap them"]
    assert [name for name in back if name in order] == order


def _stub(folder: Path, *roles: str, **tasks: list[dict[str, Any]]) -> None:
    """Tasks of that name in each of the roles, which then hide the real ones from the playbooks in the folder."""
    for role in roles:
        (folder / "roles" / role / "tasks").mkdir(parents=True)
        for name, content in tasks.items():
            (folder / "roles" / role / "tasks" / f"{name}.yml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("away", "options", "goes_on"),
    [
        ("canary", (), False),
        ("canary", ("-e", "deploy_without_canary=false"), False),
        ("canary", ("-e", "deploy_without_canary=true"), True),
        ("canary", ("--limit", "pi-02,pi-03"), True),
        ("fleet", (), True),
    ],
)
def test_no_rollout_without_the_canary(
    tmp_path: Path,
    pis: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    away: str,
    options: tuple[str, ...],
    goes_on: bool,
) -> None:
    """pi-01 is the one that does not answer."""
    for name in ("meet.yml", "deploy.yml"):
        shutil.copy(ANSIBLE / name, tmp_path)
    (tmp_path / "tasks").mkdir()
    shutil.copy(ANSIBLE / "tasks/stop_update.yml", tmp_path / "tasks")
    _stub(tmp_path, "edge_app", wheels=[])
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho activating\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _stub(tmp_path, "edge_bundle", stop=[], plan=[{"ansible.builtin.fail": {"msg": "went on"}}])
    canaries = {name: pi for name, pi in pis.items() if (name == "pi-01") == (away == "canary")}
    others = {name: pi for name, pi in pis.items() if name not in canaries}
    edge = {"children": {"canary": {"hosts": canaries}, "fleet": {"hosts": others}}}
    code, said = run_playbook(tmp_path / "deploy.yml", {"edge": edge}, *options)
    assert code != 0
    text = " ".join(said.split())
    assert ("before the canaries, and these do not answer: pi-01;" in text) is not goes_on, said
    assert ("went on" in text) is goes_on, said
    # Where an update was stopped, what it left is looked at once more.
    assert text.count("TASK [edge_gate : Look at the Pi]") == 1 + goes_on
    assert "PLAY [Report]" not in said


def test_a_second_turn_keeps_the_way_back_of_the_first(tmp_path: Path) -> None:
    """In the first the Pi was lost after it had taken the new bundle. Dry, but for the bundle."""
    (tmp_path / "tasks").mkdir()
    shutil.copy(ANSIBLE / "tasks/batch.yml", tmp_path / "tasks")
    switch = {"src": "bundles/new", "dest": str(tmp_path / "active"), "state": "link", "force": True, "follow": False}
    turn = [
        {"ansible.builtin.file": switch, "check_mode": False},
        {"ansible.builtin.set_fact": {"deploy_outcome": "passed", "deploy_reason": ""}},
    ]
    (tmp_path / "tasks/turn.yml").write_text(yaml.safe_dump(turn))
    _stub(tmp_path, "edge_bundle", follow=[])
    (tmp_path / "active").symlink_to("bundles/old")
    before = [
        {"ansible.builtin.include_role": {"name": "edge_gate", "tasks_from": name}} for name in ("look", "before")
    ]
    batch = {"ansible.builtin.include_tasks": "tasks/batch.yml"}
    say = {"ansible.builtin.debug": {"msg": "back to {{ edge_gate_before.links.active }}"}}
    places = {"edge_gate_state_dir": str(tmp_path), "edge_gate_app_root": str(tmp_path / "opt")}
    # Nothing answers there.
    settings = {"deploy_first": "localhost", "edge_gate_url": "http://127.0.0.1:1", **places}
    code, said = play(tmp_path, [*before, batch, batch, say], "--check", **settings)
    assert code == 0, said
    assert (tmp_path / "active").readlink() == Path("bundles/new")
    assert f"back to {tmp_path}/bundles/old" in said
