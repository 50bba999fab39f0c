"""Runs in a real MLflow database: one run however often it is stopped, and a broken server ends no training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plumbline_training import engine, recipes
from plumbline_training.config import RunConfig
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.errors import TrackingFailed
from plumbline_training.lineage import RUN_RECORD
from plumbline_training.records import CURVES_FILE, METRICS_FILE
from plumbline_training.tracking import LOCAL_DATABASE, RUN_ID_FILE, MlflowTracker, local_uri, tracked

MakeDataset = Callable[[Path, int], Path]


def test_a_run_that_goes_on_is_one_run_with_settings_figures_and_curves(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient

    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 12)).train[0])
    out = tmp_path / "runs" / "first"
    out.parent.mkdir()
    for last in (1, None):
        trackers = [MlflowTracker(local_uri(out))]
        engine.train(recipes.tiny(), [dataset], dataset, out, quiet=True, stop_after=last, trackers=trackers)
    client = MlflowClient(local_uri(out))
    experiment = client.get_experiment_by_name("hrnet-tiny")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "first"
    assert run.data.params["schedule.batch_size"] == "8"
    lines = [json.loads(line) for line in (out / METRICS_FILE).read_text().splitlines()]
    history = client.get_metric_history(run.info.run_id, "loss")
    assert {item.step: item.value for item in history} == pytest.approx({line["epoch"]: line["loss"] for line in lines})
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == {"curves.png", "run.json"}


def _ending(out: Path) -> tuple[str, bool]:
    """A run's status, and whether it has an end."""
    from mlflow.tracking import MlflowClient

    info = MlflowClient(local_uri(out)).get_run(json.loads((out / RUN_ID_FILE).read_text())["run_id"]).info
    return info.status, info.end_time is not None


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (RuntimeError, "FAILED")])
def test_a_run_runs_until_it_is_done_or_broken_off(
    make_dataset: MakeDataset, tmp_path: Path, error: type[BaseException], status: str
) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 12)).train[0])
    out = tmp_path / "run"
    seen: list[str] = []

    class Looking(MlflowTracker):
        def epoch(self, line: dict[str, object], out: Path) -> None:
            seen.append(_ending(out)[0])
            if line["epoch"] == 1:
                raise error

    def train() -> None:
        engine.train(recipes.tiny(), [dataset], dataset, out, quiet=True, trackers=[Looking(local_uri(out))])

    with pytest.raises(error):
        train()
    assert _ending(out) == (status, True)
    train()
    assert _ending(out) == ("FINISHED", True)
    assert seen == ["RUNNING", "RUNNING"]


def test_a_run_that_is_terminated_is_no_longer_running(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data, out = make_dataset(tmp_path / "data", 16), tmp_path / "run"
    options = [
        "--recipe",
        "tiny",
        "--stages",
        "64x64:500",
        "--data",
        str(data),
        "--out",
        str(out),
        "--mlflow",
        local_uri(out),
    ]
    with subprocess.Popen([sys.executable, "-m", "plumbline_training", *options], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (out / "last.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 130
    assert _ending(out) == ("KILLED", True)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt here, whatever runs the tests made of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("statement", ["commit", "before_cursor_execute"])
def test_an_interruption_amid_a_transaction_waits_for_its_end(tmp_path: Path, statement: str) -> None:
    from mlflow.tracking import MlflowClient
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    out = tmp_path / "run"
    out.mkdir()
    for name in (CURVES_FILE, RUN_RECORD):
        (out / name).touch()
    tracker = MlflowTracker(local_uri(out))
    seen: list[object] = []

    def interrupt(*arguments: object) -> None:
        seen.append(arguments)
        if len(seen) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    def train() -> None:
        with tracked(tracker, recipes.tiny(), out):
            event.listen(Engine, statement, interrupt)
            tracker.epoch({"epoch": 1, "loss": 0.5}, out)

    try:
        with pytest.raises(KeyboardInterrupt):
            train()
    finally:
        event.remove(Engine, statement, interrupt)
    assert _ending(out) == ("KILLED", True)
    run_id = json.loads((out / RUN_ID_FILE).read_text())["run_id"]
    assert [item.value for item in MlflowClient(local_uri(out)).get_metric_history(run_id, "loss")] == [0.5]


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_while_the_run_is_made_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    out.mkdir()
    tracker = MlflowTracker(local_uri(out))
    make = tracker._make_run

    def interrupted(config: RunConfig, folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        make(config, folder)

    monkeypatch.setattr(tracker, "_make_run", interrupted)

    def train() -> None:
        with tracked(tracker, recipes.tiny(), out):
            raise AssertionError("it was interrupted before")

    with pytest.raises(KeyboardInterrupt):
        train()
    assert _ending(out) == ("KILLED", True)


@pytest.mark.usefixtures("interruptible")
def test_a_second_interruption_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    out.mkdir()
    tracker = MlflowTracker(local_uri(out))
    tracker.start(recipes.tiny(), out)
    reached: list[str] = []

    class Slow:
        def set_terminated(self, *arguments: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("one")
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("two")

    monkeypatch.setattr(tracker, "_api", Slow())
    with pytest.raises(KeyboardInterrupt):
        tracker.end("FINISHED")
    assert reached == ["one"]


def test_a_server_that_does_not_answer_is_said_before_the_work(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 12)
    options = ["--data", data, "--out", tmp_path / "run", "--recipe", "tiny", "--mlflow", "http://127.0.0.1:9"]
    command = [sys.executable, "-m", "plumbline_training", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "MLflow at 'http://127.0.0.1:9' does not take the run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_breaks_in_mid_run_ends_no_training(
    make_dataset: MakeDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 12)).train[0])

    class Breaking(MlflowTracker):
        def epoch(self, line: dict[str, object], out: Path) -> None:
            (tmp_path / LOCAL_DATABASE).write_bytes(b"no database any more" * 1000)
            super().epoch(line, out)

    out = tmp_path / "run"
    best = engine.train(recipes.tiny(), [dataset], dataset, out, quiet=True, trackers=[Breaking(local_uri(out))])
    assert best.is_file()
    errors = capsys.readouterr().err
    assert "MLflow missed epoch 1" in errors
    assert "MLflow missed the end of the run, FINISHED" in errors
    assert len((out / METRICS_FILE).read_text().splitlines()) == 2


def test_a_run_that_the_server_has_lost_is_said(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 12)).train[0])
    out = tmp_path / "run"
    engine.train(
        recipes.tiny(), [dataset], dataset, out, quiet=True, stop_after=1, trackers=[MlflowTracker(local_uri(out))]
    )
    record = json.loads((out / RUN_ID_FILE).read_text())
    (out / RUN_ID_FILE).write_text(json.dumps({**record, "run_id": "0" * 32}))
    with pytest.raises(TrackingFailed, match="not found"):
        engine.train(recipes.tiny(), [dataset], dataset, out, quiet=True, trackers=[MlflowTracker(local_uri(out))])
