"""The networks have the published shapes, sizes and names."""

from __future__ import annotations

import pytest
import torch

from plumbline_training.architectures import ARCHITECTURES, build
from plumbline_training.hrnet import HRNET_EDGE_S, HRNET_W32, HRNet


@pytest.mark.parametrize(("name", "millions"), [("hrnet_w32", 28.5), ("hrnet_w48", 63.6)])
def test_parameters_equal_the_published_number_within_one_percent(name: str, millions: float) -> None:
    with torch.device("meta"):
        net = build(ARCHITECTURES[name])
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_w32_has_the_authors_names() -> None:
    with torch.device("meta"):
        keys = set(HRNet(HRNET_W32).state_dict())
    assert {
        "conv1.weight",
        "layer1.0.downsample.0.weight",
        "layer1.3.bn3.running_var",
        "transition1.0.0.weight",
        "transition1.1.0.0.weight",
        "transition3.3.0.1.bias",
        "stage2.0.branches.1.3.conv2.weight",
        "stage3.3.fuse_layers.2.0.1.0.weight",
        "stage4.2.fuse_layers.0.3.1.num_batches_tracked",
        "final_layer.bias",
    } <= keys
    assert not any(key.startswith(("transition2.0", "transition2.1", "stage4.2.fuse_layers.1")) for key in keys)


def test_heatmaps_are_a_quarter_of_the_input() -> None:
    net = HRNet(HRNET_EDGE_S).eval()
    with torch.inference_mode():
        heatmaps_BKHW = net(torch.rand(2, 3, 128, 96))
    assert heatmaps_BKHW.shape == (2, 17, 32, 24)


def test_a_sigmoid_net_gives_logits_while_training_and_probabilities_when_evaluated() -> None:
    torch.manual_seed(0)
    net = HRNet(HRNET_EDGE_S)
    image = torch.rand(2, 3, 64, 64)
    assert float(net(image).detach().max()) < 0.0
    with torch.inference_mode():
        heatmaps = net.eval()(image)
    assert float(heatmaps.min()) > 0.0
    assert float(heatmaps.max()) < 0.1


def test_every_weight_learns() -> None:
    torch.manual_seed(0)
    net = HRNet(HRNET_EDGE_S)
    net(torch.rand(2, 3, 64, 64)).square().sum().backward()
    assert [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()] == []
