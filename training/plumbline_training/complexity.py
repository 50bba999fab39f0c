"""Parameters and multiply-adds of a net: `python -m plumbline_training.complexity` prints those of every architecture.

Papers of the HRNet line count multiply-adds in units of 2^30 and call them GFLOPs: "7.1" for W32 at 256x192 is 7.65e9.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from plumbline_training.architectures import ARCHITECTURES, build

SIZES = ((256, 192), (384, 288))
"""Height and width in pixels that published tables are for."""
GIBI = 2**30


@dataclass(frozen=True)
class Complexity:
    """What a net holds and what one picture costs."""

    parameters: int
    multiply_adds: int
    """Of convolutions and matrix products; normalisation, activations and sums are left out, as papers do."""


def measure(net: nn.Module, height: int, width: int) -> Complexity:
    """Of one picture (1, 3, height, width) in evaluation mode.

    Computed with shapes alone, on a copy: the net stays as it is. A transposed convolution costs its kernel once an
    input pixel.
    """
    shapes_only = copy.deepcopy(net).to("meta").eval()
    costs: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        assert isinstance(layer.weight, Tensor)
        costs.append(layer.weight.numel() * _positions(layer, inputs[0], outputs))

    for module in shapes_only.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        shapes_only(torch.empty(1, 3, height, width, device="meta"))
    return Complexity(sum(parameter.numel() for parameter in net.parameters()), sum(costs))


def _positions(layer: nn.Module, inputs: Tensor, outputs: Tensor) -> int:
    """How often each weight is used."""
    if isinstance(layer, nn.Linear):
        return outputs.numel() // layer.out_features
    image_BCHW = inputs if isinstance(layer, nn.ConvTranspose2d) else outputs
    return image_BCHW.shape[2] * image_BCHW.shape[3]


def architecture_named(name: str) -> nn.Module:
    """One of ARCHITECTURES without memory for its weights."""
    with torch.device("meta"):
        return build(ARCHITECTURES[name])


def table() -> str:
    """Every architecture at the published sizes, in Markdown."""
    rows: list[tuple[Any, ...]] = [("architecture", "input", "parameters, 1e6", "multiply-adds, 1e9", "in 2^30")]
    rows.append(("---", "---", "---:", "---:", "---:"))
    for name in ARCHITECTURES:
        net = architecture_named(name)
        for height, width in SIZES:
            found = measure(net, height, width)
            costs = (found.parameters / 1e6, found.multiply_adds / 1e9, found.multiply_adds / GIBI)
            rows.append((name, f"{height}x{width}", *(f"{cost:.2f}" for cost in costs)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
