"""What Prometheus reads of a run is what the run's own file says, and the README lists it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from plumbline_training import engine, recipes
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.records import METRICS_FILE
from plumbline_training.textfile import FIGURES, Textfile

MakeDataset = Callable[[Path, int], Path]
README = Path(__file__).parents[2] / "training/README.md"


def test_figures_of_the_last_epoch_are_in_the_file(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 12)).train[0])
    out = tmp_path / "run"
    for last in (1, None):
        trackers = [Textfile(tmp_path / "textfile/first.prom")]
        engine.train(recipes.tiny(), [dataset], dataset, out, quiet=True, stop_after=last, trackers=trackers)
    families = text_string_to_metric_families((tmp_path / "textfile/first.prom").read_text())
    samples = {sample.name: sample for family in families for sample in family.samples}
    assert all(sample.labels == {"run": "first", "bundle": "hrnet-tiny"} for sample in samples.values())
    line = json.loads((out / METRICS_FILE).read_text().splitlines()[-1])
    for name in FIGURES:
        assert samples[f"plumbline_training_{name}"].value == pytest.approx(line[name]), name
    assert samples["plumbline_training_epoch"].value == samples["plumbline_training_epochs"].value == line["epoch"]
    assert set(samples) == set(re.findall(r"^\| `(plumbline_training_\w+)` \|", README.read_text(), re.MULTILINE))
