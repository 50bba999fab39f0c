"""What is exported computes what was trained, and says where it came from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from plumbline_contract.manifest import ONNX_METADATA_KEY, ExportRecord
from plumbline_training import engine, export, recipes
from plumbline_training.config import Stage
from plumbline_training.datasets import Dataset, load_dataset, load_dataset_list
from plumbline_training.errors import InvalidCheckpoint, ParityLost
from plumbline_training.predictors import onnx_predictor
from plumbline_training.tasks import stage_predictor

MakeDataset = Callable[[Path, int], Path]


@pytest.fixture(scope="module")
def dataset(make_dataset: MakeDataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    listed = load_dataset_list(make_dataset(tmp_path_factory.mktemp("made") / "data", 16))
    return load_dataset(listed.train[0])


@pytest.fixture(scope="module")
def checkpoint(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = dataclasses.replace(recipes.tiny(), stages=(Stage(64, 64, 1),))
    return engine.train(config, [dataset], dataset, tmp_path_factory.mktemp("run"), quiet=True)


def test_the_onnx_file_carries_its_record_and_computes_the_same(
    dataset: Dataset, checkpoint: Path, tmp_path: Path
) -> None:
    record = export.export(checkpoint, tmp_path / "model.onnx", dataset)
    properties = {item.key: item.value for item in onnx.load(str(tmp_path / "model.onnx")).metadata_props}
    assert ExportRecord.model_validate_json(properties[ONNX_METADATA_KEY]) == record
    assert record.metrics.parity[0].heatmap_max_abs < 1e-4
    assert record.lineage.datasets[0].sha256 == dataset.sha256
    net, config, _ = export.load_model(checkpoint)
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    boxes = [dataset.persons[0].box]
    expected = stage_predictor(net, config, config.final_stage)(image, boxes)
    np.testing.assert_allclose(onnx_predictor(tmp_path / "model.onnx")(image, boxes), expected, atol=0.05)


def test_heatmaps_may_be_decoded_otherwise_than_in_training(dataset: Dataset, checkpoint: Path, tmp_path: Path) -> None:
    record = export.export(checkpoint, tmp_path / "model.onnx", dataset, decode="argmax")
    assert record.output.decode == "argmax" != export.load_model(checkpoint)[1].decode
    assert onnx_predictor(tmp_path / "model.onnx").decode == "argmax"


def test_prefixes_of_wrappers_are_handled(dataset: Dataset, checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    state["net"] = {f"module.{key}": value for key, value in state["net"].items()}
    torch.save(state, tmp_path / "wrapped.pt")
    record = export.export(tmp_path / "wrapped.pt", tmp_path / "model.onnx", dataset)
    assert record.metrics.parity[0].heatmap_max_abs < 1e-4


def test_half_precision_weights_are_a_half_and_still_load(checkpoint: Path, tmp_path: Path) -> None:
    export.export_half(checkpoint, tmp_path / "half.pt")
    assert (tmp_path / "half.pt").stat().st_size < 0.75 * checkpoint.stat().st_size
    net, _, _ = export.load_model(tmp_path / "half.pt")
    assert all(value.dtype == torch.float32 for value in net.parameters())


def test_a_graph_that_differs_is_not_written(
    dataset: Dataset, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = export.trace

    def other_weights(net: torch.nn.Module, spec: object) -> onnx.ModelProto:
        torch.manual_seed(1)
        other = type(net)(net.config).eval()
        with torch.no_grad():
            other.final_layer.bias.fill_(0.0)  # type: ignore[union-attr, operator]
        return trace(other, spec)  # type: ignore[arg-type]

    monkeypatch.setattr(export, "trace", other_weights)
    with pytest.raises(ParityLost, match="nothing was written"):
        export.export(checkpoint, tmp_path / "model.onnx", dataset)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_net_is_named(dataset: Dataset, tmp_path: Path) -> None:
    torch.save({"net": {}}, tmp_path / "empty.pt")
    with pytest.raises(InvalidCheckpoint, match="no exportable net"):
        export.export(tmp_path / "empty.pt", tmp_path / "model.onnx", dataset)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.update(net=None),
        lambda state: state["config"]["stages"][0].update(height=33),
        lambda state: state["config"].pop("model"),
        lambda state: state.update(config=None),
    ],
)
def test_a_checkpoint_of_impossible_values_is_named(
    checkpoint: Path, tmp_path: Path, damage: Callable[[dict[str, Any]], Any]
) -> None:
    state = torch.load(checkpoint, weights_only=True)
    damage(state)
    torch.save(state, tmp_path / "odd.pt")
    with pytest.raises(InvalidCheckpoint, match=r"odd\.pt' holds no exportable net"):
        export.load_model(tmp_path / "odd.pt")


def test_lineage_holds_the_data_of_the_checkpoint_that_a_run_started_from(
    dataset: Dataset, checkpoint: Path, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    other = load_dataset(load_dataset_list(make_dataset(tmp_path / "other", 9)).train[0])
    config = dataclasses.replace(recipes.tiny(), stages=(Stage(64, 64, 1),))
    second = engine.train(config, [other], other, tmp_path / "run", quiet=True, initial=checkpoint)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["initial"]["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    exported = export.export(second, tmp_path / "model.onnx", dataset).lineage
    assert [item.sha256 for item in exported.datasets] == [other.sha256, dataset.sha256]
    assert (exported.git_commit, exported.tools) == (record["git_commit"], record["tools"])


def test_lineage_of_an_earlier_checkpoint_comes_from_its_run_record_or_is_unknown(
    dataset: Dataset, checkpoint: Path, tmp_path: Path
) -> None:
    state = torch.load(checkpoint, weights_only=True)
    for key in ("git_commit", "tools", "initial"):
        del state[key]
    torch.save(state, tmp_path / "best.pt")
    assert export.export(tmp_path / "best.pt", tmp_path / "model.onnx", dataset).lineage.git_commit == "unknown"
    record = {"config": state["config"], "git_commit": "a" * 40, "tools": {"torch": "2.0"}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    lineage = export.export(tmp_path / "best.pt", tmp_path / "model.onnx", dataset).lineage
    assert (lineage.git_commit, lineage.tools) == ("a" * 40, {"torch": "2.0"})
