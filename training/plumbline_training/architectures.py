"""The families of networks: which configuration builds which net, and the members with a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from plumbline_training.centre_net import CentreNet, CentreNetConfig
from plumbline_training.efficient_pose import EFFICIENT_POSE, EfficientPose, EfficientPoseConfig
from plumbline_training.hourglass import HOURGLASS_8, HourglassConfig, StackedHourglass
from plumbline_training.hrnet import HRNET_EDGE_S, HRNET_W32, HRNET_W48, HRNet, HRNetConfig
from plumbline_training.simple_baseline import RESNET_50, SimpleBaseline, SimpleBaselineConfig
from plumbline_training.trunk_hrnet import TRUNK_HRNET_LITE0, TrunkHRNet, TrunkHRNetConfig

ModelConfig = (
    HRNetConfig | SimpleBaselineConfig | HourglassConfig | EfficientPoseConfig | CentreNetConfig | TrunkHRNetConfig
)

DEFAULT_FAMILY = "hrnet"
"""What a configuration that names no family is of: version 0.1.0 knew this one alone."""

FAMILIES: dict[str, tuple[type[Any], Callable[[Any], nn.Module]]] = {
    DEFAULT_FAMILY: (HRNetConfig, HRNet),
    "simple_baseline": (SimpleBaselineConfig, SimpleBaseline),
    "hourglass": (HourglassConfig, StackedHourglass),
    "efficient_pose": (EfficientPoseConfig, EfficientPose),
    "centre_net": (CentreNetConfig, CentreNet),
    "trunk_hrnet": (TrunkHRNetConfig, TrunkHRNet),
}

ARCHITECTURES: dict[str, ModelConfig] = {
    "hrnet_w32": HRNET_W32,
    "hrnet_w48": HRNET_W48,
    "hrnet_edge_s": HRNET_EDGE_S,
    "simple_baseline_50": RESNET_50,
    "hourglass_8": HOURGLASS_8,
    "efficient_pose": EFFICIENT_POSE,
    "centre_net": CentreNetConfig(HRNET_EDGE_S),
    "trunk_hrnet_lite0": TRUNK_HRNET_LITE0,
}


def family_of(config: ModelConfig) -> str:
    """The name of a configuration's family."""
    return next(name for name, (kind, _) in FAMILIES.items() if type(config) is kind)


def build(config: ModelConfig) -> nn.Module:
    """A net with fresh weights."""
    _, make = FAMILIES[family_of(config)]
    return make(config)


def model_to_dict(config: ModelConfig) -> dict[str, Any]:
    """Plain values for JSON, with the family's name unless it is HRNet."""
    family = family_of(config)
    named = {} if family == DEFAULT_FAMILY else {"family": family}
    return named | dataclasses.asdict(config)


def model_from_dict(values: dict[str, Any]) -> ModelConfig:
    """The inverse of `model_to_dict`. Raises KeyError for an unknown family, TypeError for unknown fields."""
    fields = {key: _tuples(value) for key, value in values.items() if key != "family"}
    kind, _ = FAMILIES[values.get("family", DEFAULT_FAMILY)]
    for member in dataclasses.fields(kind):
        if isinstance(fields.get(member.name), dict):
            fields[member.name] = model_from_dict(fields[member.name])
    config: ModelConfig = kind(**fields)
    return config


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def supervised(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Every output of a training net that has a loss, the final one last."""
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
