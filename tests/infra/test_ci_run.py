"""What CI runs, with programs that do nothing in place of make and of apt's."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from tests.infra.machine import ROOT

CI = ROOT / ".ci/run"


def _run(folder: Path, make: str) -> tuple[int, str, float]:
    """CI with this script as make: exit code, what it printed, seconds."""
    listed = "".join(re.findall(r"wanted\+?=\((.*)\)", CI.read_text()))
    wanted = re.findall(r"([a-z0-9-]+):", listed)
    assert {"promtool", "dockerd", "npm"} <= set(wanted)
    for name in (*wanted, "make"):
        (folder / name).write_text(f"#!/bin/bash\n{make if name == 'make' else ''}\n")
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "FOLDER": str(folder)}
    started = time.monotonic()
    done = subprocess.run([CI], env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


def test_both_halves_run_to_their_end(tmp_path: Path) -> None:
    code, said, _ = _run(tmp_path, 'echo "$*" >>"$FOLDER/made"')
    assert code == 0, said
    made = (tmp_path / "made").read_text().splitlines()
    assert set(made) == {"setup", *re.findall(r"^  step make (.+)$", CI.read_text(), re.MULTILINE)}
    assert "=== make test-arm64 ===" in said


@pytest.mark.parametrize(("fails", "hangs"), [("lint-ansible", "lint"), ("lint", "lint-ansible")])
def test_a_failure_of_one_half_ends_the_other_at_once(tmp_path: Path, fails: str, hangs: str) -> None:
    hang = f'[ "$1" != {hangs} ] || {{ echo $$ >"$FOLDER/hanging"; exec sleep 50; }}'
    fail = f'[ "$1" != {fails} ] || {{ until [ -s "$FOLDER/hanging" ]; do sleep .1; done; echo broken; exit 3; }}'
    code, said, seconds = _run(tmp_path, f"{hang}\n{fail}")
    assert code == 3
    assert seconds < 40
    assert "broken" in said
    hanging = Path("/proc") / (tmp_path / "hanging").read_text().strip() / "stat"
    time.sleep(0.5)
    assert not hanging.exists() or hanging.read_text().rsplit(")", 1)[1].split()[0] == "Z"
