"""Recipes: each function returns the full configuration of a run.

The official ones follow the authors' published schedule (leoxiaobin/deep-high-resolution-net.pytorch):
Adam at 1e-3, a tenth of it at epochs 170 and 200 of 210, sigma 2 at 256x192 and 3 at 384x288.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from plumbline_training.centre_net import CentreNetConfig
from plumbline_training.config import Augmentation, RunConfig, Schedule, Stage
from plumbline_training.efficient_pose import EFFICIENT_POSE
from plumbline_training.errors import UnknownRecipe
from plumbline_training.hourglass import HOURGLASS_8
from plumbline_training.hrnet import HRNET_EDGE_S, HRNET_W32, HRNET_W48, HRNetConfig
from plumbline_training.simple_baseline import RESNET_50
from plumbline_training.trunk_hrnet import TRUNK_HRNET_LITE0

OFFICIAL_AUGMENTATION = Augmentation(rotation_degrees=90.0, scale_spread=1.0, half_body_padding=1.2)
"""A turn has deviation 45 and ends at 90 degrees, a scaling deviation and ends at 0.35; a half body's box is grown by
1.5 in all, 1.25 of which is every box's padding."""
OFFICIAL_SCHEDULE = Schedule(learning_rate=1e-3, milestones=(170, 200), batch_size=128, accumulate=4)
"""32 crops on each of four GPUs; on fewer, the same batch in parts of 32, whose batch statistics are theirs."""


def _official(name: str, model: HRNetConfig, bundle_name: str, stage: Stage) -> RunConfig:
    return RunConfig(
        recipe=name,
        bundle_name=bundle_name,
        model=model,
        stages=(stage,),
        alignment="corner",
        augmentation=OFFICIAL_AUGMENTATION,
        schedule=OFFICIAL_SCHEDULE,
    )


def _unbiased(official: RunConfig) -> RunConfig:
    """With coordinates that a mirror maps onto themselves, as UDP has them (Huang et al., CVPR 2020)."""
    return dataclasses.replace(
        official,
        recipe=f"{official.recipe}_unbiased",
        bundle_name=f"{official.bundle_name}-unbiased",
        alignment="centre",
        decode="dark",
    )


def hrnet_w32_256x192() -> RunConfig:
    """HRNet-W32, the authors' schedule at 256x192."""
    return _official("hrnet_w32_256x192", HRNET_W32, "hrnet-w32", Stage(256, 192, 210))


def hrnet_w32_384x288() -> RunConfig:
    """HRNet-W32, the authors' schedule at 384x288."""
    return _official("hrnet_w32_384x288", HRNET_W32, "hrnet-w32", Stage(384, 288, 210, target_size=3.0))


def hrnet_w48_384x288() -> RunConfig:
    """HRNet-W48, the authors' schedule at 384x288, 24 crops a GPU."""
    config = _official("hrnet_w48_384x288", HRNET_W48, "hrnet-w48", Stage(384, 288, 210, target_size=3.0))
    return dataclasses.replace(config, schedule=dataclasses.replace(OFFICIAL_SCHEDULE, batch_size=96))


def hrnet_w32_256x192_unbiased() -> RunConfig:
    """HRNet-W32 at 256x192 with unbiased coordinates."""
    return _unbiased(hrnet_w32_256x192())


def hrnet_w32_384x288_unbiased() -> RunConfig:
    """HRNet-W32 at 384x288 with unbiased coordinates."""
    return _unbiased(hrnet_w32_384x288())


def hrnet_w48_384x288_unbiased() -> RunConfig:
    """HRNet-W48 at 384x288 with unbiased coordinates."""
    return _unbiased(hrnet_w48_384x288())


def _paper(name: str, model: HRNetConfig, bundle_name: str) -> RunConfig:
    """Binary discs of radius 6 in input pixels, cross-entropy, blob centroid, 10 epochs at 384x288."""
    return RunConfig(
        recipe=name,
        bundle_name=bundle_name,
        model=dataclasses.replace(model, activation="sigmoid"),
        stages=(Stage(384, 288, 10, target_size=6.0),),
        target="disc",
        loss="bce",
        decode="blob",
        augmentation=OFFICIAL_AUGMENTATION,
        schedule=Schedule(learning_rate=1e-3, batch_size=32),
    )


def paper_simple() -> RunConfig:
    """The source paper's "simple" model: HRNet-W32."""
    return _paper("paper_simple", HRNET_W32, "hrnet-paper-simple")


def paper_deep() -> RunConfig:
    """The source paper's "deep" model: HRNet-W48."""
    return _paper("paper_deep", HRNET_W48, "hrnet-paper-deep")


def edge_s() -> RunConfig:
    """The student for the Pi: grown from 128x96 to 256x192, since low resolution learns four times as fast."""
    return RunConfig(
        recipe="edge_s",
        bundle_name="hrnet-edge-s",
        model=HRNET_EDGE_S,
        stages=(Stage(128, 96, 60, target_size=1.5), Stage(256, 192, 12)),
        loss="focal",
        spatial_weight=1.0,
        decode="smoothed",
        augmentation=Augmentation(
            rotation_degrees=40.0,
            scale=0.3,
            shift=0.06,
            half_body_probability=0.15,
            colour=0.35,
            blur_probability=0.15,
            cutout_probability=0.1,
            nobody_probability=0.05,
        ),
        schedule=Schedule(
            optimiser="adamw",
            learning_rate=2e-3,
            weight_decay=0.01,
            decay="cosine",
            warmup_steps=200,
            batch_size=64,
            ema_decay=0.999,
        ),
    )


def simple_baseline_50() -> RunConfig:
    """SimpleBaseline with a ResNet-50 at 256x192: 140 epochs, steps at 90 and 120 (Xiao et al., 2018)."""
    return RunConfig(
        recipe="simple_baseline_50",
        bundle_name="simple-baseline-50",
        model=RESNET_50,
        stages=(Stage(256, 192, 140),),
        alignment="corner",
        augmentation=Augmentation(rotation_degrees=80.0, scale=0.3, scale_spread=1.0, half_body_probability=0.0),
        schedule=Schedule(learning_rate=1e-3, milestones=(90, 120), batch_size=128, accumulate=4),
    )


def hourglass_8() -> RunConfig:
    """Eight stacked hourglasses under HRNet's schedule at 256x192, each with a loss of its own."""
    return dataclasses.replace(hrnet_w32_256x192(), recipe="hourglass_8", bundle_name="hourglass-8", model=HOURGLASS_8)


def efficient_pose() -> RunConfig:
    """The EfficientPose-style net under edge_s's schedule."""
    return dataclasses.replace(edge_s(), recipe="efficient_pose", bundle_name="efficient-pose", model=EFFICIENT_POSE)


def trunk_hrnet() -> RunConfig:
    """HRNet's fusion on an EfficientNet-Lite0 trunk, under edge_s's schedule at half its rate.

    Started from the trunk's ImageNet weights: `--init efficientnet-lite0.pth --init-partial`.
    """
    edge = edge_s()
    return dataclasses.replace(
        edge,
        recipe="trunk_hrnet",
        bundle_name="trunk-hrnet-lite0",
        model=TRUNK_HRNET_LITE0,
        schedule=dataclasses.replace(edge.schedule, learning_rate=1e-3),
    )


def edge_s_integral() -> RunConfig:
    """edge_s as a regressor: soft-argmax and L1 in place of heatmap targets (Sun et al., ECCV 2018)."""
    edge = edge_s()
    return dataclasses.replace(
        edge,
        recipe="edge_s_integral",
        bundle_name="hrnet-edge-s-integral",
        model=dataclasses.replace(HRNET_EDGE_S, activation="linear"),
        loss="integral",
        spatial_weight=0.0,
        decode="soft_argmax",
        augmentation=dataclasses.replace(edge.augmentation, nobody_probability=0.0),
    )


def centre_net() -> RunConfig:
    """People without boxes: a bottom-up net on edge_s's trunk, over whole pictures (Zhou et al., 2019)."""
    edge = edge_s()
    return dataclasses.replace(
        edge,
        recipe="centre_net",
        bundle_name="centre-net",
        model=CentreNetConfig(dataclasses.replace(HRNET_EDGE_S, activation="linear")),
        stages=(Stage(256, 256, 140, target_size=1.0),),
        schedule=dataclasses.replace(edge.schedule, learning_rate=5e-4, batch_size=32),
    )


def tiny() -> RunConfig:
    """Two epochs of a net of a few thousand weights at 64x64: proves the path, learns nothing of use."""
    edge = edge_s()
    return dataclasses.replace(
        edge,
        recipe="tiny",
        bundle_name="hrnet-tiny",
        model=HRNetConfig(8, 1, 8, (1, 1, 1), 1, (8, 8, 16, 16), "sigmoid"),
        stages=(Stage(64, 64, 2),),
        schedule=dataclasses.replace(edge.schedule, batch_size=8, warmup_steps=2, ema_decay=0.5),
        workers=0,
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        edge_s,
        edge_s_integral,
        centre_net,
        trunk_hrnet,
        efficient_pose,
        hourglass_8,
        simple_baseline_50,
        hrnet_w32_256x192,
        hrnet_w32_256x192_unbiased,
        hrnet_w32_384x288,
        hrnet_w32_384x288_unbiased,
        hrnet_w48_384x288,
        hrnet_w48_384x288_unbiased,
        paper_simple,
        paper_deep,
        tiny,
    )
}


def recipe_named(name: str) -> RunConfig:
    """The configuration of a recipe. Raises UnknownRecipe that lists the names."""
    if name not in RECIPES:
        raise UnknownRecipe(f"no recipe is called {name!r}; there are {', '.join(sorted(RECIPES))}")
    return RECIPES[name]()
