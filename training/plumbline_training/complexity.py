"""Parameters and multiply-adds of a net: `python -m plumbline_training.complexity` prints every architecture's."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

UNIT = 2**30
"""The HRNet papers' "GFLOPs" are multiply-adds in units of 2^30: 7.1 for W32 at 256x192 is 7.65e9."""


class Complexity(NamedTuple):
    """Of one picture."""

    parameters: int
    multiply_adds: int


def measure(net: nn.Module, height: int, width: int) -> Complexity:
    """Of convolutions, transposed convolutions and linear layers; nothing is computed, shapes are enough."""
    net = copy.deepcopy(net).to("meta").eval()
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal total
        if isinstance(module, nn.ConvTranspose2d):
            total += module.weight[0].numel() * inputs[0].numel()
        elif isinstance(module, nn.Conv2d):
            total += module.weight[0].numel() * output.numel()
        elif isinstance(module, nn.Linear):
            total += module.in_features * output.numel()

    for module in net.modules():
        module.register_forward_hook(count)
    with torch.inference_mode():
        net(torch.zeros(1, 3, height, width, device="meta"))
    return Complexity(sum(parameter.numel() for parameter in net.parameters()), total)


def main() -> None:
    """Print a line an architecture."""
    from plumbline_training.architectures import ARCHITECTURES, build

    sizes = ((256, 192), (384, 288))
    print(f"{'architecture':<16} {'params M':>9} " + " ".join(f"{f'{h}x{w}, 2^30':>14}" for h, w in sizes))
    for name, config in ARCHITECTURES.items():
        with torch.device("meta"):
            net = build(config)
        found = [measure(net, height, width) for height, width in sizes]
        adds = " ".join(f"{item.multiply_adds / UNIT:>14.2f}" for item in found)
        print(f"{name:<16} {found[0].parameters / 1e6:>9.2f} {adds}")


if __name__ == "__main__":
    main()
