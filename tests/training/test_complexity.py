"""Sizes equal the published ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from plumbline_training.architectures import ARCHITECTURES, build
from plumbline_training.complexity import UNIT, measure


@pytest.mark.parametrize(
    ("name", "size", "millions", "giga"),
    [
        ("hrnet_w32", (256, 192), 28.5, 7.1),
        ("hrnet_w32", (384, 288), 28.5, 16.0),
        ("hrnet_w48", (256, 192), 63.6, 14.6),
        ("hrnet_w48", (384, 288), 63.6, 32.9),
    ],
)
def test_hrnet_is_within_one_percent_of_its_paper(
    name: str, size: tuple[int, int], millions: float, giga: float
) -> None:
    """Sun et al., CVPR 2019, table 1."""
    with torch.device("meta"):
        found = measure(build(ARCHITECTURES[name]), *size)
    assert found.parameters / 1e6 == pytest.approx(millions, rel=0.01)
    assert found.multiply_adds / UNIT == pytest.approx(giga, rel=0.01)


@pytest.mark.parametrize(
    ("name", "millions", "tolerance"),
    [("simple_baseline_50", 34.0, 0.01), ("hourglass_8", 25.1, 0.03)],
)
def test_comparators_are_near_their_papers(name: str, millions: float, tolerance: float) -> None:
    """The same table."""
    with torch.device("meta"):
        found = measure(build(ARCHITECTURES[name]), 256, 192)
    assert found.parameters / 1e6 == pytest.approx(millions, rel=tolerance)


def test_multiply_adds_are_counted_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1), nn.ConvTranspose2d(8, 4, 4, 2, 1))
    found = measure(net, 8, 8)
    assert found.multiply_adds == 4 * 4 * 8 * 3 * 9 + 4 * 4 * 8 * 4 * 16
    assert found.parameters == 8 * 3 * 9 + 8 + 8 * 4 * 16 + 4
