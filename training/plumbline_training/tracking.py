"""Where a run's figures go besides its own folder."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Protocol

from tqdm import tqdm

from plumbline_training.checkpoint import write_atomically
from plumbline_training.config import RunConfig
from plumbline_training.errors import InvalidSettings, TrackingFailed
from plumbline_training.lineage import RUN_RECORD, git_commit
from plumbline_training.records import CURVES_FILE

RUN_ID_FILE = "mlflow.json"
LOCAL_DATABASE = "mlflow.db"
LOCAL_ARTIFACTS = "mlflow-artifacts"
ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""Nothing is told to anybody but the server that the user names; one that is down does not hold up the run."""
Ending = Literal["FINISHED", "FAILED", "KILLED"]
"""How a run ends, in MLflow's words."""


class Tracker(Protocol):
    """Hears of a run's start, of every epoch and of its end, on the process that writes."""

    def start(self, config: RunConfig, out: Path) -> None:
        """Before the first epoch, or before the next one of a run that goes on; OUT exists."""
        ...

    def epoch(self, line: dict[str, Any], out: Path) -> None:
        """The figures of the epoch that ended, as metrics.jsonl has them; OUT holds plots and checkpoints."""
        ...

    def end(self, ending: Ending) -> None:
        """After the last epoch, or when an error or an interruption ends the run, its start too; it may go on later."""
        ...


@contextmanager
def tracked(tracker: Tracker, config: RunConfig, out: Path) -> Iterator[None]:
    """Tell the tracker of the run's start, and of its end however it comes."""
    ending: Ending = "FAILED"
    try:
        tracker.start(config, out)
        yield
        ending = "FINISHED"
    except KeyboardInterrupt:  # SIGTERM too: see cli.run_command
        ending = "KILLED"
        raise
    finally:
        tracker.end(ending)


@contextmanager
def _whole() -> Iterator[None]:
    """Hold an interruption back until the block is done: amid a transaction it would leave the database locked.

    A second one comes through, for a server that takes its time.
    """
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            signal.default_int_handler(number, frame)
        held.append(number)

    may_hold = threading.current_thread() is threading.main_thread()
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if may_hold and callable(handler := signal.getsignal(number))
    }
    for number in handlers:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


class MlflowTracker:
    """One MLflow run for one run folder, however often it is stopped and goes on.

    Raises InvalidSettings where MLflow is not installed, and from `start` TrackingFailed where the server does not
    answer; one that stops answering later is reported, and the training goes on.
    """

    def __init__(self, uri: str) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise InvalidSettings(
                f"--mlflow needs {error.name!r}; install it with: pip install 'plumbline-training[tracking]'"
            ) from error
        self._uri, self._client, self._failures = uri, MlflowClient, (MlflowException, OSError)
        self._run_id = ""

    def start(self, config: RunConfig, out: Path) -> None:
        try:
            with _whole():
                self._api = self._client(self._uri)
                if not self._finds_run(out):
                    self._make_run(config, out)
        except self._failures as error:
            raise TrackingFailed(
                f"MLflow at {self._uri!r} does not take the run ({_first_line(error)}); check --mlflow, or leave it out"
            ) from error

    def epoch(self, line: dict[str, Any], out: Path) -> None:
        try:
            with _whole():
                for name, value in _numbers(line):
                    self._api.log_metric(self._run_id, name, value, step=line["epoch"])
                for name in (CURVES_FILE, RUN_RECORD):
                    self._api.log_artifact(self._run_id, str(out / name))
        except self._failures as error:
            tqdm.write(f"MLflow missed epoch {line['epoch']} ({_first_line(error)}); {out} has it", file=sys.stderr)

    def end(self, ending: Ending) -> None:
        if not self._run_id:
            return
        try:
            with _whole():
                self._api.set_terminated(self._run_id, ending)
        except self._failures as error:
            tqdm.write(f"MLflow missed the end of the run, {ending} ({_first_line(error)})", file=sys.stderr)

    def _finds_run(self, out: Path) -> bool:
        """Whether the folder began a run, running again then, that this server still has."""
        try:
            record = json.loads((out / RUN_ID_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if record.get("uri") != self._uri:
            return False
        self._api.update_run(record["run_id"], "RUNNING")
        self._run_id = str(record["run_id"])
        return True

    def _make_run(self, config: RunConfig, out: Path) -> None:
        experiment = self._api.get_experiment_by_name(config.bundle_name)
        if experiment is None:
            place = None
            if self._uri.startswith("sqlite:"):
                place = (Path(self._uri.removeprefix("sqlite:///")).parent / LOCAL_ARTIFACTS).absolute().as_uri()
            number = self._api.create_experiment(config.bundle_name, artifact_location=place)
        else:
            number = experiment.experiment_id
        run = self._api.create_run(number, run_name=out.name, tags={"git_commit": git_commit()})
        self._run_id = str(run.info.run_id)
        write_atomically(json.dumps({"uri": self._uri, "run_id": self._run_id}) + "\n", out / RUN_ID_FILE)
        for name, value in _settings(config.to_dict()):
            self._api.log_param(self._run_id, name, value)


def local_uri(out: Path) -> str:
    """A database beside the run folders: all runs of a folder are compared in one place."""
    return f"sqlite:///{out.absolute().parent / LOCAL_DATABASE}"


def _numbers(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in line.items():
        if isinstance(value, int | float) and name != "epoch":
            yield name, float(value)


def _settings(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A configuration's values by dotted names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
