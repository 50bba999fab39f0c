"""Everything that a run depends on, as one frozen value that is stored beside its results."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from plumbline_contract.decode import DecodeMethod
from plumbline_training.hrnet import HRNetConfig

MAX_SEED = 2**31 - 1
MAX_SIDE_PX = 4096
"""The largest input that the manifest allows."""
NEW_AUGMENTATION_FIELDS = ("scale_spread", "half_body_padding", "nobody_probability")
"""Fields that the digests of version 0.1.0 lack; their defaults are what it did."""


@dataclass(frozen=True)
class Augmentation:
    """How a training crop differs from the labelled box; probabilities are per person."""

    rotation_degrees: float = 45.0
    """Largest turn to either side; its standard deviation is half of it."""
    rotation_probability: float = 0.6
    """How often the crop is turned."""
    scale: float = 0.35
    """The box is scaled by 1 - scale to 1 + scale."""
    scale_spread: float = 0.5
    """Standard deviation of the scaling as a part of `scale`; what lies beyond its ends is moved to them."""
    shift: float = 0.0
    """The box moves by up to this part of its size in each axis."""
    flip_probability: float = 0.5
    """Mirror, with left and right exchanged."""
    half_body_probability: float = 0.3
    """Crop to the upper or the lower body when enough of both is labelled."""
    half_body_padding: float = 1.5
    """How much the joints' box of a half body is grown, before `box_padding`."""
    colour: float = 0.0
    """Strength of brightness, contrast, gamma and hue changes; 0 for none."""
    blur_probability: float = 0.0
    """Blur or loss of resolution, as in a moving or distant camera picture."""
    cutout_probability: float = 0.0
    """Cover a random rectangle, so that hidden joints are guessed from the rest."""
    nobody_probability: float = 0.0
    """Show a picture of nobody instead, whose heatmaps are empty: scores must tell whether a person is there."""


@dataclass(frozen=True)
class Stage:
    """A stretch of the schedule at one input size."""

    height: int
    width: int
    epochs: int
    target_size: float = 2.0
    """Standard deviation of the Gaussian in heatmap pixels, or radius of the disc in input pixels."""

    def __post_init__(self) -> None:
        for side in (self.height, self.width):
            if side % 32 or not 32 <= side <= MAX_SIDE_PX:
                raise ValueError(
                    f"stage {self.height}x{self.width}: height and width must be multiples of 32 up to {MAX_SIDE_PX}"
                )
        if self.epochs < 1:
            raise ValueError(f"stage {self.height}x{self.width}: {self.epochs!r} epochs; at least one is needed")
        if not 0 < self.target_size < math.inf:
            raise ValueError(f"stage {self.height}x{self.width}: target {self.target_size!r} must be above 0")


@dataclass(frozen=True)
class Schedule:
    """Optimiser and learning rate."""

    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    decay: Literal["steps", "cosine"] = "steps"
    """'steps' divides by ten at each milestone; 'cosine' falls to a hundredth at the end."""
    milestones: tuple[int, ...] = ()
    """Epochs of the 'steps' decay."""
    warmup_steps: int = 0
    """Steps in which the rate rises from zero."""
    batch_size: int = 32
    ema_decay: float = 0.0
    """Decay a step of the averaged weights that are evaluated and exported; 0 for none."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch size {self.batch_size!r}: at least 1 is needed")


@dataclass(frozen=True)
class RunConfig:
    """A whole run: recipes are functions that return one."""

    recipe: str
    bundle_name: str
    model: HRNetConfig
    stages: tuple[Stage, ...]
    target: Literal["gaussian", "disc"] = "gaussian"
    loss: Literal["mse", "bce", "focal"] = "mse"
    spatial_weight: float = 0.0
    """Weight of the spatial cross-entropy that is added to the loss; see `losses`."""
    decode: DecodeMethod = "argmax"
    augmentation: Augmentation = field(default_factory=Augmentation)
    schedule: Schedule = field(default_factory=Schedule)
    box_padding: float = 1.25
    seed: int = 0
    workers: int = 2
    """Processes that read and warp pictures."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("no stages: at least one is needed")
        if self.loss in ("bce", "focal") and self.model.activation != "sigmoid":
            raise ValueError(f"loss {self.loss!r} needs a model with activation 'sigmoid'")
        if not 0 <= self.seed <= MAX_SEED:
            raise ValueError(f"seed {self.seed!r}: it must be 0 to {MAX_SEED}")
        if self.workers < 0:
            raise ValueError(f"workers {self.workers!r}: it must be 0 (none besides the main process) or more")

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def final_stage(self) -> Stage:
        """The stage whose input size the exported model has."""
        return self.stages[-1]

    def stage_at(self, epoch: int) -> Stage:
        """The stage that epoch (from 0) belongs to."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        raise ValueError(f"epoch {epoch} lies after the last of {self.epochs}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def digest(self) -> str:
        """Names the configuration: a run resumes only from one of the same. `workers` changes no result."""
        values = self.to_dict()
        del values["workers"]
        return _digest(values)

    def known_as(self) -> set[str]:
        """Every digest that this configuration may have in a checkpoint: today's, and that of version 0.1.0."""
        values = self.to_dict()
        for name in NEW_AUGMENTATION_FIELDS:
            if values["augmentation"].pop(name) != getattr(Augmentation(), name):
                return {self.digest()}
        return {self.digest(), _digest(values)}


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
