"""Every family trains, is measured and exports behind one interface."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from plumbline_contract.manifest import InputSpec
from plumbline_training import engine, recipes
from plumbline_training.architectures import ModelConfig, build, model_from_dict, model_to_dict, supervised
from plumbline_training.config import RunConfig, Stage
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.efficient_pose import EfficientPoseConfig
from plumbline_training.export import export, load_model, trace
from plumbline_training.hourglass import HourglassConfig
from plumbline_training.hrnet import HRNetConfig
from plumbline_training.predictors import onnx_predictor
from plumbline_training.simple_baseline import SimpleBaselineConfig
from plumbline_training.trunk_hrnet import TrunkHRNetConfig

MakeDataset = Callable[[Path, int], Path]
TINY: dict[str, ModelConfig] = {
    "hrnet": HRNetConfig(8, 1, 8, (1, 1, 1), 1, (8, 8, 16, 16)),
    "simple_baseline": SimpleBaselineConfig((1, 1, 1, 1), 8, 16),
    "hourglass": HourglassConfig(2, 16, 4),
    "efficient_pose": EfficientPoseConfig((8, 8, 16, 16, 24), (1, 1, 1, 1, 1), 2, 16, 2, "linear"),
    "trunk_hrnet": TrunkHRNetConfig(0.25, 0.4, (8, 8, 16, 16), 2, 1, "linear"),
}
OUTPUTS = {"hrnet": 1, "simple_baseline": 1, "hourglass": 2, "efficient_pose": 2, "trunk_hrnet": 1}


@pytest.mark.parametrize("family", TINY)
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (96, 32)])
def test_heatmaps_are_a_quarter_of_the_input_and_start_flat(family: str, size: tuple[int, int]) -> None:
    net = build(TINY[family]).train()
    outputs = supervised(net(torch.rand(2, 3, *size)))
    assert len(outputs) == OUTPUTS[family]
    assert all(output.shape == (2, 17, size[0] // 4, size[1] // 4) for output in outputs)
    assert max(float(output.detach().abs().max()) for output in outputs) < 0.2
    assert net.eval()(torch.rand(1, 3, *size)).shape == (1, 17, size[0] // 4, size[1] // 4)


@pytest.mark.parametrize("family", TINY)
def test_a_sigmoid_is_applied_when_evaluated_alone(family: str) -> None:
    net = build(dataclasses.replace(TINY[family], activation="sigmoid"))  # type: ignore[arg-type]
    picture = torch.rand(2, 3, 64, 64)
    assert float(supervised(net.train()(picture))[-1].detach().max()) < -4
    heatmaps = net.eval()(picture).detach()
    assert 0 < float(heatmaps.min()) <= float(heatmaps.max()) <= 1


@pytest.mark.parametrize("family", TINY)
def test_a_few_steps_on_one_batch_lower_the_loss(family: str) -> None:
    torch.manual_seed(0)
    net = build(TINY[family]).train()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    picture, target = torch.rand(4, 3, 64, 64), torch.zeros(4, 17, 16, 16)
    target[:, :, 6:9, 4:7] = 1
    losses = []
    for _ in range(25):
        loss = torch.stack([(output - target).square().mean() for output in supervised(net(picture))]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]


@pytest.mark.parametrize("family", TINY)
def test_the_onnx_form_computes_the_same(family: str) -> None:
    torch.manual_seed(0)
    net = build(TINY[family])
    net.train()(torch.rand(4, 3, 64, 64))
    model = trace(net.eval(), InputSpec(height=64, width=96, layout="NCHW"))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    picture = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        expected = net(picture).numpy()
    np.testing.assert_allclose(session.run(None, {"image": picture.numpy()})[0], expected, atol=1e-4)


def tiny_run(family: str) -> RunConfig:
    config = dataclasses.replace(recipes.tiny(), model=TINY[family], loss="mse", spatial_weight=0.0)
    return dataclasses.replace(config, stages=(Stage(64, 64, 1),))


@pytest.mark.parametrize("change", ["simple_baseline", "hourglass", "efficient_pose", "trunk_hrnet", "integral"])
def test_a_comparator_trains_is_measured_and_exports(make_dataset: MakeDataset, tmp_path: Path, change: str) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 16)).train[0])
    config = tiny_run("hrnet" if change == "integral" else change)
    if change == "integral":
        config = dataclasses.replace(config, loss="integral", decode="soft_argmax")
    best = engine.train(config, [dataset], dataset, tmp_path / "run", quiet=True)
    assert load_model(best)[1] == config
    record = export(best, tmp_path / "model.onnx", dataset)
    assert record.output.decode == config.decode
    assert record.metrics.parity[0].heatmap_max_abs < 1e-4
    assert onnx_predictor(tmp_path / "model.onnx").height == 64


@pytest.mark.parametrize("family", TINY)
def test_a_configuration_keeps_its_family(family: str) -> None:
    assert model_from_dict(model_to_dict(TINY[family])) == TINY[family]
