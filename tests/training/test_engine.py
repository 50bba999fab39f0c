"""A run on made data: it learns, its figures are kept, and it goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from plumbline_training import engine, recipes
from plumbline_training.config import RunConfig, Stage
from plumbline_training.datasets import Dataset, load_dataset, load_dataset_list
from plumbline_training.errors import InvalidCheckpoint, InvalidDataset, RunInUse, TrainingDiverged
from plumbline_training.hrnet import HRNetConfig
from plumbline_training.lock import locked
from plumbline_training.numerics import fast_numerics
from plumbline_training.records import METRICS_FILE
from plumbline_training.state import initial_weights, start

MakeDataset = Callable[[Path, int], Path]


def tiny(epochs: int = 2, **changes: object) -> RunConfig:
    return dataclasses.replace(recipes.tiny(), stages=(Stage(64, 64, epochs),), **changes)  # type: ignore[arg-type]


def made(make_dataset: MakeDataset, folder: Path, count: int = 24) -> Dataset:
    return load_dataset(load_dataset_list(make_dataset(folder, count)).train[0])


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / METRICS_FILE).read_text().splitlines()]


def test_a_run_learns_and_keeps_its_figures(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    best = engine.train(tiny(4), [dataset], dataset, tmp_path / "run", quiet=True)
    lines = metrics(tmp_path / "run")
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["loss"] < 0.95 * lines[0]["loss"]
    assert best.is_file()
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    assert json.loads((tmp_path / "run" / "run.json").read_text())["train"][0]["sha256"] == dataset.sha256
    machine = json.loads((tmp_path / "run" / "run.json").read_text())["machine"]
    assert machine["numerics"] == str(fast_numerics(torch.device("cpu")))
    assert machine["processor"]


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
            tiny(1, model=HRNetConfig(8, 1, 8, (1, 1, 1), 1, (8, 8, 8, 8), "sigmoid")),
            [dataset],
            dataset,
            tmp_path / "third",
            quiet=True,
            initial=first,
        )


def test_a_run_goes_on_from_the_weights_that_it_began_with_alone(
    make_dataset: MakeDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    one, other, plain, started = (tmp_path / name for name in ("one.pt", "other.pt", "plain", "started"))
    for path in (one, other):
        torch.save({"net": start(tiny(1), 3, torch.device("cpu")).net.state_dict()}, path)
    engine.train(tiny(2), [dataset], dataset, plain, quiet=True, stop_after=1)
    engine.train(tiny(2), [dataset], dataset, started, stop_after=1, initial=one)
    assert "tensors" in capsys.readouterr().out
    began = hashlib.sha256(one.read_bytes()).hexdigest()
    for out, weights in ((plain, "no other weights"), (started, f"weights of sha256 '{began}'")):
        with pytest.raises(InvalidCheckpoint, match=f"began from {weights}.* choose another --out"):
            engine.train(tiny(2), [dataset], dataset, out, quiet=True, initial=other)
        assert len(metrics(out)) == 1
    engine.train(tiny(2), [dataset], dataset, started, initial=one)
    assert "tensors" not in capsys.readouterr().out  # they were taken an epoch ago
    assert len(metrics(started)) == 2


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    state = start(tiny(1), 3, torch.device("cpu"))
    with torch.no_grad():
        next(state.net.parameters()).fill_(float("nan"))
    poisoned = tmp_path / "poisoned.pt"
    torch.save({"net": state.net.state_dict()}, poisoned)
    with pytest.raises(TrainingDiverged, match=r"in epoch 1; start again with --learning-rate 0\.001 \(it was 0\.002"):
        engine.train(tiny(1), [dataset], dataset, tmp_path / "run", quiet=True, initial=poisoned)
    assert not (tmp_path / "run" / "last.pt").exists()


def test_a_run_that_diverges_names_the_way_on(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    best = engine.train(tiny(2), [dataset], dataset, tmp_path / "run", quiet=True, stop_after=1)
    saved = torch.load(tmp_path / "run/last.pt", weights_only=True)
    next(iter(saved["net"].values())).fill_(float("nan"))
    torch.save(saved, tmp_path / "run/last.pt")
    with pytest.raises(TrainingDiverged) as raised:
        engine.train(tiny(2), [dataset], dataset, tmp_path / "run", quiet=True)
    way = f"go on with --init {str(best)!r} --out ANOTHER --learning-rate 0.001"
    assert f"in epoch 2; {way}" in str(raised.value)
    slower = dataclasses.replace(tiny(1).schedule, learning_rate=1e-3)
    engine.train(tiny(1, schedule=slower), [dataset], dataset, tmp_path / "another", quiet=True, initial=best)
    assert len(metrics(tmp_path / "another")) == 1


def test_fewer_persons_than_a_batch_is_said(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data", count=3)
    with pytest.raises(InvalidDataset, match="one batch of 8"):
        engine.train(tiny(1), [dataset], dataset, tmp_path / "run", quiet=True)


def test_workers_do_not_matter_for_going_on_and_data_does(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    engine.train(tiny(2), [dataset], dataset, tmp_path / "run", quiet=True, stop_after=1)
    repeated = dataclasses.replace(dataset, entry=dataset.entry.model_copy(update={"repeat": 2}))
    with pytest.raises(InvalidCheckpoint, match="on other data"):
        engine.train(tiny(2), [repeated], dataset, tmp_path / "run", quiet=True)
    engine.train(tiny(2, workers=1), [dataset], dataset, tmp_path / "run", quiet=True)
    assert [line["epoch"] for line in metrics(tmp_path / "run")] == [1, 2]


def test_a_metrics_line_that_was_cut_short_is_left_out(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    engine.train(tiny(2), [dataset], dataset, tmp_path / "run", quiet=True, stop_after=1)
    with (tmp_path / "run" / METRICS_FILE).open("a") as file:
        file.write('{"epoch": 2, "lo')
    engine.train(tiny(2), [dataset], dataset, tmp_path / "run", quiet=True)
    assert [line["epoch"] for line in metrics(tmp_path / "run")] == [1, 2]


def test_what_a_kill_left_half_written_is_cleared_away(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    engine.train(tiny(2), [dataset], dataset, tmp_path / "run", quiet=True, stop_after=1)
    (tmp_path / "run" / "best.pt.partial").write_bytes(b"half")
    (tmp_path / "run" / "older.pt.partial").write_bytes(b"half")
    engine.train(tiny(2), [dataset], dataset, tmp_path / "run", quiet=True)
    assert not list((tmp_path / "run").glob("*.partial"))


def test_a_folder_in_use_is_refused(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run"), pytest.raises(RunInUse, match="another training writes there"):
        engine.train(tiny(1), [dataset], dataset, tmp_path / "run", quiet=True)
    with locked(tmp_path / "run"):
        pass


def test_a_bare_state_dict_is_taken_and_another_architectures_is_named(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    state = start(tiny(1), 3, torch.device("cpu"))
    bare = tmp_path / "bare.pth"
    torch.save({f"module.{key}": value for key, value in state.net.state_dict().items()}, bare)
    assert set(initial_weights(tiny(1), bare).weights) == set(state.net.state_dict())
    with pytest.raises(InvalidCheckpoint, match="does not fit recipe 'edge_s'"):
        initial_weights(recipes.edge_s(), bare)
    torch.save({"net": None}, bare)
    with pytest.raises(InvalidCheckpoint, match="does not fit"):
        engine.train(tiny(1), [dataset], dataset, tmp_path / "run", quiet=True, initial=bare)
    assert not (tmp_path / "run").exists()


def test_a_broken_validation_picture_is_found_before_training(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = made(make_dataset, tmp_path / "data")
    other = made(make_dataset, tmp_path / "other", count=3)
    picture = other.persons[2].image
    picture.write_bytes(picture.read_bytes()[:-100])
    with pytest.raises(InvalidDataset, match=r"0003\.jpg.*must not be left out"):
        engine.train(tiny(1), [dataset], other, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
