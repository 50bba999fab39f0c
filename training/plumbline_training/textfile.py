"""A run's figures for Prometheus, in the file that node exporter's textfile collector reads; README.md lists them."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from tqdm import tqdm

from plumbline_training.config import RunConfig
from plumbline_training.tracking import Ending

FIGURES: Final = {
    "loss": "mean loss of the epoch",
    "ap": "average precision after the epoch",
    "ap50": "average precision at OKS .50",
    "pck": "share of keypoints within 0.2 torso lengths",
    "learning_rate": "learning rate at the end of the epoch",
    "images_per_second": "training pictures a second",
    "height": "height of the input in pixels",
}
"""Of metrics.jsonl; each is plumbline_training_<name>."""


class Textfile:
    """Tracks a run in a file `<run>.prom`, written anew after every epoch; it may be scraped at any moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._registry = CollectorRegistry()

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"plumbline_training_{name}", text, ["run", "bundle"], registry=self._registry)

    def start(self, config: RunConfig, out: Path) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._path.parent):
            pass  # what cannot be written there is an OSError before the long work
        labels = {"run": self._path.stem, "bundle": config.bundle_name}
        self._gauge("epochs", "epochs in all").labels(**labels).set(config.epochs)
        self._epoch = self._gauge("epoch", "epochs that ended").labels(**labels)
        self._seen = self._gauge("epoch_timestamp_seconds", "when the last epoch ended").labels(**labels)
        gauges = {name: self._gauge(name, text) for name, text in FIGURES.items()}
        self._figures = {name: gauge.labels(**labels) for name, gauge in gauges.items()}

    def epoch(self, line: dict[str, Any], out: Path) -> None:
        self._epoch.set(line["epoch"])
        self._seen.set(time.time())
        for name, child in self._figures.items():
            child.set(line.get(name, float("nan")))
        try:
            write_to_textfile(str(self._path), self._registry)
        except OSError as error:
            tqdm.write(f"{self._path} misses epoch {line['epoch']} ({error}); {out} has it", file=sys.stderr)

    def end(self, ending: Ending) -> None:
        """The last epoch's figures stay."""
