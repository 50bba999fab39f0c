"""CI tests what a change can break."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from infra.changed_parts import NEEDED_BY, PARTS, parts_of
from tests.infra.machine import ROOT


@pytest.mark.parametrize(
    ("paths", "parts"),
    [
        (["edge/plumbline_edge/tracker.py"], ["edge", "infra"]),
        (["tests/edge/test_slot.py"], ["edge"]),
        (["services/registry/Dockerfile"], ["registry", "infra"]),
        (["docs/alerts.md"], ["training", "edge", "infra"]),
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
