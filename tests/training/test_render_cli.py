"""The renderer's command line: what it refuses, in one line."""

from pathlib import Path

import pytest

from plumbline_training.render.cli import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["images", "--out", "x", "--count", "0"], "error: --count: 0 is not a number of pictures; give 1 or more"),
        (["images", "--out", "x", "--seed", "-4"], "error: --seed: -4 is negative; give 0 or more"),
    ],
)
def test_nonsense_is_refused_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err == said + "\n"
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
    assert "squats --out samples/squats.mp4" in capsys.readouterr().out
