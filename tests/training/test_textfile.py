"""What Prometheus reads of a run is what the run's own file says, and the README lists it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_a_folder_that_takes_no_file_is_said_before_the_work_and_ends_no_training(
    make_dataset: MakeDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 12)).train[0])
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        Textfile(tmp_path / "file" / "run.prom").start(recipes.tiny(), tmp_path)

    class Removed(Textfile):
        def epoch(self, line: dict[str, Any], out: Path) -> None:
            shutil.rmtree(tmp_path / "textfile", ignore_errors=True)
            super().epoch(line, out)

    out = tmp_path / "run"
    engine.train(
        recipes.tiny(), [dataset], dataset, out, quiet=True, trackers=[Removed(tmp_path / "textfile/run.prom")]
    )
    assert "run.prom misses epoch 2" in capsys.readouterr().err
    assert len((out / METRICS_FILE).read_text().splitlines()) == 2
