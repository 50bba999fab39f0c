"""Files under others' names give the same net, and what does not fit is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from plumbline_training import recipes
from plumbline_training.architectures import build
from plumbline_training.errors import InvalidCheckpoint
from plumbline_training.hrnet import HRNET_W32, HRNet
from plumbline_training.public_checkpoints import match
from plumbline_training.state import initial_weights
from plumbline_training.trunk_hrnet import TRUNK_HRNET_LITE0

WIDTHS = (32, 64, 128, 256)
Shapes = dict[str, tuple[int, ...]]


def convolution(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel)}


def norm(name: str, channels: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def pair(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    return convolution(f"{name}.0", inputs, outputs, kernel) | norm(f"{name}.1", outputs)


def bottlenecks() -> Iterator[Shapes]:
    for block in range(4):
        name, inputs = f"layer1.{block}", 64 if block == 0 else 256
        for index, (source, target, kernel) in enumerate(((inputs, 64, 1), (64, 64, 3), (64, 256, 1)), start=1):
            yield convolution(f"{name}.conv{index}", source, target, kernel) | norm(f"{name}.bn{index}", target)
    yield pair("layer1.0.downsample", 64, 256, 1)


def module(name: str, branches: int, outputs: int) -> Iterator[Shapes]:
    for branch in range(branches):
        width = WIDTHS[branch]
        for block in range(4):
            for index in (1, 2):
                part = f"{name}.branches.{branch}.{block}"
                yield convolution(f"{part}.conv{index}", width, width, 3) | norm(f"{part}.bn{index}", width)
    for target in range(outputs):
        for source in range(branches):
            part = f"{name}.fuse_layers.{target}.{source}"
            if source > target:
                yield pair(part, WIDTHS[source], WIDTHS[target], 1)
            for step in range(target - source):
                last = step == target - source - 1
                yield pair(f"{part}.{step}", WIDTHS[source], WIDTHS[target] if last else WIDTHS[source], 3)


def official_w32() -> Shapes:
    """Names and shapes of the authors' pose_hrnet W32, from the paper's description and their configuration."""
    parts: list[Shapes] = [
        convolution("conv1", 3, 64, 3) | norm("bn1", 64),
        convolution("conv2", 64, 64, 3) | norm("bn2", 64),
        *bottlenecks(),
        pair("transition1.0", 256, 32, 3),
        pair("transition1.1.0", 256, 64, 3),
        *module("stage2.0", 2, 2),
        pair("transition2.2.0", 64, 128, 3),
        *(part for index in range(4) for part in module(f"stage3.{index}", 3, 3)),
        pair("transition3.3.0", 128, 256, 3),
        *(part for index in range(3) for part in module(f"stage4.{index}", 4, 1 if index == 2 else 4)),
        convolution("final_layer", 32, 17, 1) | {"final_layer.bias": (17,)},
    ]
    return {name: shape for part in parts for name, shape in part.items()}


@pytest.fixture(scope="module")
def released() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator) if shape else torch.tensor(7)
        for name, shape in official_w32().items()
    }


def test_our_names_and_shapes_are_the_authors() -> None:
    with torch.device("meta"):
        ours = {name: tuple(value.shape) for name, value in HRNet(HRNET_W32).state_dict().items()}
    assert ours == official_w32()


def mmpose(head: str) -> Callable[[str], str]:
    return lambda name: f"{head}.{name}" if name.startswith("final_layer") else f"backbone.{name}"


@pytest.mark.parametrize(
    ("named", "wrapper"),
    [
        (str, None),
        (lambda name: f"module.{name}", "state_dict"),
        (lambda name: f"module._orig_mod.{name}", "model"),
        (mmpose("keypoint_head"), "state_dict"),
        (mmpose("head"), "state_dict"),
        (lambda name: "module." + mmpose("head")(name), "state_dict"),
    ],
)
def test_every_layout_makes_the_round_trip(
    released: dict[str, Tensor], tmp_path: Path, named: Callable[[str], str], wrapper: str | None
) -> None:
    weights = {named(name): value for name, value in released.items()}
    torch.save(weights if wrapper is None else {"meta": {"epoch": 210}, wrapper: weights}, tmp_path / "public.pth")
    initial = initial_weights(recipes.hrnet_w32_256x192(), tmp_path / "public.pth")
    assert initial.report.complete
    assert initial.report.share == 1.0
    net = build(HRNET_W32)
    net.load_state_dict(initial.weights)
    assert all(torch.equal(value, released[name]) for name, value in net.state_dict().items())


def test_old_files_without_counters_are_whole(released: dict[str, Tensor]) -> None:
    old = {name: value for name, value in released.items() if not name.endswith("num_batches_tracked")}
    _, report = match(old, build(HRNET_W32))
    assert report.complete


def test_a_trunk_of_timm_is_taken_when_asked_for(released: dict[str, Tensor]) -> None:
    trunk = {name: value for name, value in released.items() if not name.startswith("final_layer")}
    extra = {
        "incre_modules.0.0.conv1.weight": torch.zeros(32, 32, 1, 1),
        "classifier.weight": torch.zeros(1000, 2048),
        "final_layer.0.weight": torch.zeros(2048, 1024, 1, 1),
        "stage4.2.fuse_layers.1.0.0.0.weight": torch.zeros(64, 32, 3, 3),
    }
    net = build(HRNET_W32)
    with pytest.raises(
        InvalidCheckpoint, match=r"timm layout.* 2 missing \(final_layer.bias.*4 unexpected.*--init-partial"
    ):
        match(trunk | extra, net)
    weights, report = match(trunk | extra, net, partial=True)
    assert (report.layout, report.missing) == ("timm", ("final_layer.bias", "final_layer.weight"))
    assert torch.equal(weights["final_layer.weight"], net.state_dict()["final_layer.weight"])
    assert torch.equal(weights["conv1.weight"], released["conv1.weight"])


def test_efficientnet_lite_starts_the_trunk() -> None:
    net = build(TRUNK_HRNET_LITE0)
    released = {
        re.sub(r"(^|\.)(conv_stem|bn\d|blocks|\w+_conv)(?=\.)", r"\1_\2", name.removeprefix("trunk.")): value + 1
        for name, value in net.state_dict().items()
        if name.startswith("trunk.")
    }
    assert "_blocks.3._depthwise_conv.weight" in released
    released |= {"_conv_head.weight": torch.zeros(1280, 320, 1, 1), "_fc.bias": torch.zeros(1000)}
    weights, report = match(released, net, partial=True)
    assert (report.layout, report.matched) == ("efficientnet", len(released) - 2)
    assert torch.equal(weights["trunk.blocks.3.bn1.weight"], released["_blocks.3._bn1.weight"])


def test_another_shape_is_named_and_nothing_that_fits_is_refused(released: dict[str, Tensor]) -> None:
    net = build(HRNET_W32)
    with pytest.raises(InvalidCheckpoint, match=r"1 reshaped \(conv1.weight \(8, 3, 3, 3\) for \(64, 3, 3, 3\)"):
        match(released | {"conv1.weight": torch.zeros(8, 3, 3, 3)}, net)
    with pytest.raises(InvalidCheckpoint, match="another architecture's"):
        match({"fc.weight": torch.zeros(3)}, net, partial=True)
