"""The wheels that Pis install: the same sources give the same ones, whatever the index has by then."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.infra.machine import ROOT

SCRIPT = ROOT / "infra" / "build-wheels.sh"
CONSTRAINTS = ROOT / "infra" / "build-constraints.txt"


def _build(script: Path, out: Path) -> str:
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([script, out, "part"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One that holds the script and a part that writes down what it is built with."""
    root = tmp_path / "a checkout"
    (root / "infra").mkdir(parents=True)
    for path in (SCRIPT, CONSTRAINTS):
        (root / "infra" / path.name).write_bytes(path.read_bytes())
        (root / "infra" / path.name).chmod(0o755)
    (root / "part").mkdir()
    backend = '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
    project = '[project]\nname = "plumbline-part"\nversion = "1.0"\n[tool.setuptools]\npy-modules = []\n'
    (root / "part/pyproject.toml").write_text(backend + project)
    return root


def test_wheels_are_built_by_the_version_that_is_committed(checkout: Path, tmp_path: Path) -> None:
    script, out = checkout / "infra/build-wheels.sh", tmp_path / "out"
    pinned = re.search(r"^setuptools==([\d.]+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    assert pinned is not None
    assert [_build(script, out) for _ in range(2)] == ["changed", "unchanged"]
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        told = content.read("plumbline_part-1.0.dist-info/WHEEL").decode()
    assert f"Generator: setuptools ({pinned[1]})" in told


def test_released_wheels_are_built_by_it_too() -> None:
    recipe = re.search(r"^dist:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    lines = recipe[1].replace("\\\n", "").splitlines()
    (builds,) = (line for line in lines if "wheel" in line)
    assert {"PIP_CONSTRAINT=infra/build-constraints.txt", "PIP_BUILD_CONSTRAINT=infra/build-constraints.txt;"} <= set(
        builds.split()
    )
