"""Parameters and multiply-adds are those that papers print and that arithmetic gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from plumbline_training.architectures import ARCHITECTURES
from plumbline_training.complexity import GIBI, Complexity, architecture_named, measure, table


@pytest.mark.parametrize(
    ("name", "height", "width", "millions", "gibi"),
    [
        ("hrnet_w32", 256, 192, 28.5, 7.1),
        ("hrnet_w32", 384, 288, 28.5, 16.0),
        ("hrnet_w48", 256, 192, 63.6, 14.6),
        ("hrnet_w48", 384, 288, 63.6, 32.9),
    ],
)
def test_hrnet_is_as_published(name: str, height: int, width: int, millions: float, gibi: float) -> None:
    found = measure(architecture_named(name), height, width)
    assert found.parameters / 1e6 == pytest.approx(millions, rel=0.01)
    assert found.multiply_adds / GIBI == pytest.approx(gibi, rel=0.01)


class OneOfEach(nn.Module):
    """A grouped convolution that is used twice, a transposed one and a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(6, 6, 3, padding=1, groups=3, bias=False)
        self.enter = nn.Conv2d(3, 6, 1, stride=2)
        self.grow = nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1, bias=False)
        self.dense = nn.Linear(4, 5)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        x_BCHW = self.grow(self.grouped(self.grouped(self.enter(images_BCHW))))
        result: torch.Tensor = self.dense(x_BCHW.permute(0, 2, 3, 1))
        return result


def test_each_kind_of_layer_is_counted_as_often_as_it_works() -> None:
    enter, grouped, grow, dense = 3 * 6 * 20, 2 * 6 * 9 * 20, 6 * 4 * 16 * 20, 4 * 5 * 80
    parameters = (3 * 6 + 6) + 2 * 6 * 9 + 6 * 4 * 16 + (4 * 5 + 5)
    expected = Complexity(parameters, enter + 2 * grouped + grow + dense)
    assert measure(OneOfEach(), 8, 10) == expected


def test_the_net_is_left_as_it_was() -> None:
    net = OneOfEach().train()
    measure(net, 8, 8)
    assert net.training
    assert net.dense.weight.device.type == "cpu"
    assert not net.dense._forward_hooks


def test_the_table_has_every_architecture_at_both_sizes() -> None:
    lines = table().splitlines()
    assert len(lines) == 2 + 2 * len(ARCHITECTURES)
    assert "| hrnet_w32 | 256x192 | 28.54 | 7.65 | 7.12 |" in lines
