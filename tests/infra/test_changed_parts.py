"""CI tests what a change can break."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from infra.changed_parts import NEEDED_BY, PARTS, parts_of
from tests.infra.machine import ROOT

# ROOT / "models" / "hrnet-edge-s", Path(__file__).parents[2] / "samples", from infra.registry_front import nginx
_FILE = re.compile(r'\b(?:ROOT|parents\[(\d)\])((?:\s*/\s*"[^"]+")+)')
_MODULE = re.compile(r"^\s*(?:from|import) (infra\.[\w.]+)", re.MULTILINE)
_PACKAGE = re.compile(r"^\s*(?:from|import) plumbline_(\w+)", re.MULTILINE)


@pytest.mark.parametrize(
    ("paths", "parts"),
    [
        (["edge/plumbline_edge/tracker.py"], ["registry", "edge", "infra"]),
        (["training/plumbline_training/export.py"], ["training", "conversion", "infra"]),
        (["tests/edge/test_slot.py"], ["edge"]),
        (["services/registry/Dockerfile"], ["registry", "infra"]),
        (["docs/alerts.md"], ["training", "edge", "infra"]),
        (["conversion/Dockerfile"], ["conversion", "infra"]),
        (["infra/registry_front.py"], ["registry", "infra"]),
        (["samples/squats.json"], ["training", "conversion", "edge", "infra"]),
        (["models/form-judge/manifest.json"], ["contract", "training", "conversion", "registry", "edge", "infra"]),
        (["conversion/README.md", "tests/training/test_crops.py"], ["training", "conversion"]),
        (["contract/plumbline_contract/box.py"], list(PARTS)),
        (["requirements/edge-py311.txt"], list(PARTS)),
        (["Makefile"], list(PARTS)),
        ([], []),
    ],
)
def test_a_change_leads_to_the_parts_that_it_can_break(paths: list[str], parts: list[str]) -> None:
    assert parts_of(paths) == parts


@pytest.mark.parametrize("base", ["", "0" * 40, "no-such-branch"])
def test_without_a_known_base_everything_is_tested(base: str) -> None:
    command = [sys.executable, "-m", "infra.changed_parts", base]
    assert json.loads(subprocess.check_output(command, cwd=ROOT, text=True)) == list(PARTS)


def test_nothing_changed_against_itself() -> None:
    command = [sys.executable, "-m", "infra.changed_parts", "HEAD"]
    assert json.loads(subprocess.check_output(command, cwd=ROOT, text=True)) == []


def test_every_part_has_tests_and_every_folder_of_tests_a_part() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert all((ROOT / "tests" / part).is_dir() for part in PARTS)
    assert "tests/$(PART)" in makefile
    assert all((ROOT / owner).exists() or owner == "docker-compose" for owner in NEEDED_BY)


def _read_by(test: Path) -> Iterator[str]:
    """Files and folders of this repository that a file of tests names."""
    text = test.read_text()
    for level, names in _FILE.findall(text):
        base = test.parents[int(level)] if level else ROOT
        yield str(base.joinpath(*re.findall(r'"([^"]+)"', names)).relative_to(ROOT))
    yield from (f"{module.replace('.', '/')}.py" for module in _MODULE.findall(text))
    yield from ("services/registry" if part == "registry" else part for part in _PACKAGE.findall(text))


@pytest.mark.parametrize("part", PARTS)
def test_what_the_tests_of_a_part_read_leads_to_it(part: str) -> None:
    reads = {path: test for test in (ROOT / "tests" / part).rglob("*.py") for path in _read_by(test)}
    tracked = {path: test for path, test in reads.items() if not path.startswith("var/")}
    assert tracked
    inside = {path: f"{path}/file" if (ROOT / path).is_dir() else path for path in tracked}
    assert {path: str(tracked[path]) for path in tracked if part not in parts_of([inside[path]])} == {}
