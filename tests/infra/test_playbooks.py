"""Playbooks, or parts of them, on this machine: what tests/infra/fleet plays whole, on stand-in Pis."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
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
    (tmp_path / "pi-03/previous").symlink_to("bundles/old")
    return hosts


def _roll_back(tmp_path: Path, pis: dict[str, dict[str, Any]]) -> tuple[int, str]:
    """Dry, since the swap would go on to systemd."""
    settings = {"rollback_links": {"bundle": "{{ state }}/active"}, "edge_app_user": "root", "rollback_batch": 1}
    shutil.copy(ANSIBLE / "rollback.yml", tmp_path)
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


def test_going_back_fails_where_nobody_can(tmp_path: Path, pis: dict[str, dict[str, Any]]) -> None:
    code, said = _roll_back(tmp_path, {name: pi for name, pi in pis.items() if name != "pi-03"})
    assert code != 0
    assert "no Pi that answers has a way back" in said
