"""A user's mistake is one line and exit code 2, and nothing is half-written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MakeDataset = Callable[[Path, int], Path]


def program(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("recipe", "data", "message"),
    [
        ("tiny", "gone.yaml", "No such file or directory"),
        ("hrnet_w99", "data.yaml", "no recipe is called 'hrnet_w99'"),
    ],
)
def test_train_says_what_is_wrong(
    make_dataset: MakeDataset, tmp_path: Path, recipe: str, data: str, message: str
) -> None:
    make_dataset(tmp_path / "data", 2)
    done = program("plumbline-train", "--recipe", recipe, "--data", tmp_path / "data" / data, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_evaluate_says_what_is_no_model(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 2)
    done = program("plumbline-evaluate", "--data", data, tmp_path / "gone.onnx")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "does not exist" in done.stderr
