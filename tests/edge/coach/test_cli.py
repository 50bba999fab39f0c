"""`plumbline-coach` as its users run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plumbline_edge.coach.cli import main


def test_a_right_definition_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "squat"]) == 0
    out = capsys.readouterr().out
    assert "squat: ok: 'Squat'" in out
    assert "knees_caving_in (serious, at_full, seen from front): 'Push your knees out'" in out


def test_every_file_is_checked_and_each_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: Wrong", encoding="utf-8")
    assert main(["check", str(wrong), "squat", str(tmp_path / "gone.yaml")]) == 2
    captured = capsys.readouterr()
    assert "squat: ok" in captured.out
    errors = captured.err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("error: ") for line in errors)


def test_list_names_the_exercises(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "squat: Squat" in capsys.readouterr().out


def test_help_teaches_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "plumbline_edge.coach.cli", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "plumbline-coach check my-lunge.yaml" in shown.stdout
