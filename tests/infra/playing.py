"""Ansible on this machine, without a fleet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.infra.machine import ROOT, program

ANSIBLE = ROOT / "infra/ansible"


def play(folder: Path, tasks: list[dict[str, Any]], *options: str, **variables: object) -> tuple[int, str]:
    """Play the tasks on this machine, from a playbook in this folder; exit code and what Ansible printed."""
    playbook = folder / "playbook.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    return run_playbook(playbook, {"all": {"hosts": {"localhost": {}}}}, *options, **variables)


def run_playbook(playbook: Path, inventory: dict[str, Any], *options: str, **variables: object) -> tuple[int, str]:
    """Run the playbook as this user, on hosts that are all this machine unless the inventory says otherwise."""
    hosts = playbook.with_name("inventory.yml")
    hosts.write_text(yaml.safe_dump(inventory))
    known = {"ansible_python_interpreter": sys.executable, "ansible_become": False, **variables}
    command = [program("ansible-playbook"), "-i", str(hosts), str(playbook), "-e", json.dumps(known), *options]
    settings = {"ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"), "ANSIBLE_TRANSPORT": "local", "ANSIBLE_NOCOLOR": "1"}
    environment = {**os.environ, **settings}
    done = subprocess.run(command, cwd=playbook.parent, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
