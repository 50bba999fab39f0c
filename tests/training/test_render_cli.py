"""The renderer's command line: what it refuses, in one line, and what its help teaches."""

from pathlib import Path

import pytest

from plumbline_training.render.cli import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["images", "--out", "x", "--count", "0"], "error: --count: 0 is too small; give 1 or more"),
        (["images", "--out", "x", "--seed", "-4"], "error: --seed: -4 is too small; give 0 or more"),
        (["clips", "--out", "x", "--workers", "0"], "error: --workers: 0 is too small; give 1 or more"),
        (["clips", "--out", "x", "--fps", "nan"], "error: --fps: nan is no frame rate for a clip; give 1 to 120"),
        (["all", "--out", "x", "--backgrounds", "absent"], "error: --backgrounds 'absent' is no folder;"),
        (["images", "--out", "x", "--poses", "absent.npz"], "error: --poses 'absent.npz' has no"),
        (["images", "--out", "x", "--exercises", "absent.yaml"], "error: --exercises 'absent.yaml':"),
        (["clips", "--out", "x", "--exercise", "yodel"], "error: --exercise 'yodel': use one of squat, push_up,"),
        (["clips", "--out", "x", "--fault", "hips_sag"], "error: --fault 'hips_sag': name its --exercise"),
        (["gallery", "absent"], "error: 'absent' holds neither person_keypoints.json nor clips;"),
    ],
)
def test_nonsense_is_refused_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["images", "--out", str(tmp_path / "file"), "--count", "1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --out:")
    assert error.count("\n") == 1


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "squats --out samples/squats.mp4" in said
    assert "The same seed gives the same bytes" in said


def test_exercises_and_joints_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exercises"]) == 0
    assert "squat: too_shallow, knees_in" in capsys.readouterr().out
    assert main(["joints"]) == 0
    assert "elbow flexion, 0 straight" in capsys.readouterr().out
