"""A user's mistake is one line and exit code 2, and nothing is half-written."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline_training import cli, engine, recipes, teacher
from plumbline_training.config import RunConfig

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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stages", "64x64"], "'64x64' is no stage; write HxW:EPOCHS[:TARGET], such as 128x96:40:1.5,256x192:10"),
        (["--stages", "65x64:1"], "multiples of 32"),
        (["--stages", "64x64:0"], "at least one is needed"),
        (["--batch-size", "0"], "'0' is no whole number of at least 1"),
        (["--learning-rate", "0"], "learning rate 0.0: it must be above 0"),
        (["--learning-rate", "nan"], "learning rate nan: it must be above 0"),
        (["--stop-after", "-1"], "'-1' is no whole number of at least 1"),
        (["--seed", "-3"], "seed -3: it must be 0"),
        (["--workers", "-1"], "workers -1"),
        (["--init", "gone.pt"], "'gone.pt': No such file or directory"),
    ],
)
def test_an_impossible_option_is_named(
    make_dataset: MakeDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    data = make_dataset(tmp_path / "data", 2)
    command = ["plumbline-train", "--recipe", "tiny", "--data", str(data), "--out", str(tmp_path / "run"), *options]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as left:
        cli.train_main()
    assert left.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_the_rate_is_the_recipes_or_the_users(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[RunConfig] = []

    def train(config: RunConfig, *_: object, **__: object) -> Path:
        seen.append(config)
        return tmp_path

    monkeypatch.setattr(engine, "train", train)
    command = ["plumbline-train", "--recipe", "tiny", "--data", str(make_dataset(tmp_path / "data", 2)), "--out", "run"]
    for options in ([], ["--learning-rate", "3e-4"]):
        monkeypatch.setattr(sys, "argv", [*command, *options])
        cli.train_main()
    own, given = seen
    assert own == recipes.tiny()
    assert given.schedule == dataclasses.replace(own.schedule, learning_rate=3e-4)
    assert given.digest() != own.digest()


def test_evaluate_looks_at_its_outputs_first(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 2)
    bundle = Path(__file__).parent.parent / "edge" / "data" / "dots-fp32"
    for options, message in (
        (["--json", tmp_path / "gone" / "ap.json"], "its folder does not exist"),
        (["--into-manifest"], "is sealed"),
    ):
        done = program("plumbline-evaluate", "--data", data, bundle, *options)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert message in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_says_how_to_go_on(
    make_dataset: MakeDataset, tmp_path: Path, number: signal.Signals
) -> None:
    data = make_dataset(tmp_path / "data", 16)
    options = ["--recipe", "tiny", "--stages", "64x64:500", "--data", str(data), "--out", str(tmp_path / "run")]
    command = [str(Path(sys.executable).parent / "plumbline-train"), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run" / "last.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        errors = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert errors.rstrip().endswith("stopped; the same command goes on from the last finished epoch")
    assert "Traceback" not in errors
    assert not list((tmp_path / "run").glob("*.partial"))


def test_the_teacher_names_what_is_wrong(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_dataset(tmp_path / "data", 2).parent
    annotations, out = data / "person_keypoints.json", tmp_path / "out.json"
    for arguments, message in (
        ([tmp_path / "gone.json", data, out, "--teacher", "t"], "No such file or directory"),
        ([data / "data.yaml", data, out, "--teacher", "t"], "no COCO keypoint file"),
        ([annotations, data, out, "--teacher", "t", "--hold-out", 2], "it must be 0 to 1, of 2 pictures"),
        ([annotations, data, out, "--teacher", "t", "--min-score", 2], "--min-score 2.0"),
        ([annotations, data, tmp_path / "gone" / "out.json", "--teacher", "t"], "its folder does not exist"),
        ([annotations, data, out, "--teacher", data / "data.yaml"], "neither a checkpoint .pt"),
    ):
        monkeypatch.setattr(sys, "argv", ["teacher", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            teacher.main()
        errors = capsys.readouterr().err
        assert (left.value.code, errors.count("\n")) == (2, 1), errors
        assert message in errors
    assert not out.exists()
