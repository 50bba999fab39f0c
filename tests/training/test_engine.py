"""A run on made data: it learns, its figures are kept, and it goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from plumbline_training import engine, recipes
from plumbline_training.config import RunConfig, Stage
from plumbline_training.datasets import Dataset, load_dataset, load_dataset_list
from plumbline_training.errors import InvalidCheckpoint, InvalidDataset, TrainingDiverged

MakeDataset = Callable[[Path, int], Path]


def tiny(epochs: int = 2, **changes: object) -> RunConfig:
    return dataclasses.replace(recipes.tiny(), stages=(Stage(64, 64, epochs),), **changes)  # type: ignore[arg-type]


def made(make_dataset: MakeDataset, folder: Path, count: int = 24) -> Dataset:
    return load_dataset(load_dataset_list(make_dataset(folder, count)).train[0])


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / engine.METRICS_FILE).read_text().splitlines()]


def test_a_run_learns_and_keeps_its_figures(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    best = engine.train(tiny(4), [dataset], dataset, tmp_path / "run", quiet=True)
    lines = metrics(tmp_path / "run")
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["loss"] < 0.95 * lines[0]["loss"]
    assert best.is_file()
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    assert json.loads((tmp_path / "run" / "run.json").read_text())["train"][0]["sha256"] == dataset.sha256


def test_a_stopped_run_goes_on_and_ends_at_the_same_weights(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    engine.train(tiny(), [dataset], dataset, tmp_path / "whole", quiet=True)

    engine.train(tiny(), [dataset], dataset, tmp_path / "halves", quiet=True, stop_after=1)
    assert len(metrics(tmp_path / "halves")) == 1
    engine.train(tiny(), [dataset], dataset, tmp_path / "halves", quiet=True)
    whole, halves = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "halves"))
    assert all(torch.equal(whole["net"][key], halves["net"][key]) for key in whole["net"])
    losses = [[line["loss"] for line in metrics(tmp_path / name)] for name in ("whole", "halves")]
    assert losses[0] == losses[1]


def test_another_configuration_is_not_resumed(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    engine.train(tiny(1), [dataset], dataset, tmp_path / "run", quiet=True)
    with pytest.raises(InvalidCheckpoint, match="another configuration"):
        engine.train(tiny(1, seed=7), [dataset], dataset, tmp_path / "run", quiet=True)


def test_a_run_starts_from_another_runs_weights(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    first = engine.train(tiny(2), [dataset], dataset, tmp_path / "first", quiet=True)
    engine.train(tiny(1, seed=1), [dataset], dataset, tmp_path / "second", quiet=True, initial=first)
    assert metrics(tmp_path / "second")[0]["loss"] < metrics(tmp_path / "first")[0]["loss"]
    with pytest.raises(InvalidCheckpoint, match="does not fit"):
        engine.train(
            tiny(1, model=dataclasses.replace(recipes.tiny().model, channels=(8, 8, 8, 8))),
            [dataset],
            dataset,
            tmp_path / "third",
            quiet=True,
            initial=first,
        )


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    state = engine.start(tiny(1), 3, torch.device("cpu"))
    with torch.no_grad():
        state.net.final_layer.weight.fill_(float("nan"))
    poisoned = tmp_path / "poisoned.pt"
    torch.save({"net": state.net.state_dict()}, poisoned)
    with pytest.raises(TrainingDiverged, match="lower the rate"):
        engine.train(tiny(1), [dataset], dataset, tmp_path / "run", quiet=True, initial=poisoned)
    assert not (tmp_path / "run" / "last.pt").exists()


def test_fewer_persons_than_a_batch_is_said(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data", count=3)
    with pytest.raises(InvalidDataset, match="one batch of 8"):
        engine.train(tiny(1), [dataset], dataset, tmp_path / "run", quiet=True)
