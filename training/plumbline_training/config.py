"""Everything that a run depends on, as one frozen value that is stored beside its results."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from plumbline_contract.decode import Alignment, DecodeMethod
from plumbline_training.architectures import ModelConfig, model_from_dict, model_to_dict

MAX_SEED = 2**31 - 1
MAX_SIDE_PX = 4096
"""The largest input that the manifest allows."""
LATER_FIELDS: dict[str, tuple[str, ...]] = {
    "": ("alignment", "distillation"),
    "augmentation": ("scale_spread", "half_body_padding", "nobody_probability"),
    "schedule": ("accumulate", "sync_batch_norm"),
}
"""Fields that were added later, by the part that holds them; their defaults are what runs did before."""


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
    """Crops of one optimiser step, over all processes and accumulated parts."""
    accumulate: int = 1
    """Parts that a batch is computed in, where it does not fit into memory at once."""
    sync_batch_norm: bool = False
    """Batch statistics over all GPUs instead of over the part of the batch that each computes at once."""
    ema_decay: float = 0.0
    """Decay a step of the averaged weights that are evaluated and exported; 0 for none."""

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning rate {self.learning_rate!r}: it must be above 0")
        if self.batch_size < 1:
            raise ValueError(f"batch size {self.batch_size!r}: at least 1 is needed")
        if self.accumulate < 1 or self.batch_size % self.accumulate:
            raise ValueError(f"batch size {self.batch_size!r} does not divide into {self.accumulate!r} equal parts")


@dataclass(frozen=True)
class Distillation:
    """How a student learns from a teacher beside the labels."""

    teacher_sha256: str
    """Digest of the teacher's file."""
    weight: float = 0.5
    """Share of the teacher in the loss of keypoints that are labelled too; the others have the teacher alone."""
    min_score: float = 0.3
    """Keypoints that the teacher scores lower are not learned from it."""

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"distillation weight {self.weight!r}: it must be above 0 and at most 1")
        if not 0 <= self.min_score < 1:
            raise ValueError(f"distillation score {self.min_score!r}: it must be from 0 up to below 1")


@dataclass(frozen=True)
class RunConfig:
    """A whole run: recipes are functions that return one."""

    recipe: str
    bundle_name: str
    model: ModelConfig
    stages: tuple[Stage, ...]
    target: Literal["gaussian", "disc"] = "gaussian"
    loss: Literal["mse", "bce", "focal", "integral"] = "mse"
    spatial_weight: float = 0.0
    """Weight of the spatial cross-entropy that is added to the loss; see `losses`."""
    decode: DecodeMethod = "argmax"
    alignment: Alignment = "centre"
    """How heatmap pixels lie over the crop's: unbiased, or as the HRNet authors have it."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    schedule: Schedule = field(default_factory=Schedule)
    box_padding: float = 1.25
    seed: int = 0
    workers: int = 2
    """Processes that read and warp pictures, for each process that trains."""
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("no stages: at least one is needed")
        if self.loss in ("bce", "focal") and self.model.activation != "sigmoid":
            raise ValueError(f"loss {self.loss!r} needs a model with activation 'sigmoid'")
        if self.loss == "integral" and (self.model.activation, self.decode) != ("linear", "soft_argmax"):
            raise ValueError("loss 'integral' needs a model with activation 'linear' and decode 'soft_argmax'")
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
        return dataclasses.asdict(self) | {"model": model_to_dict(self.model)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunConfig:
        """The inverse of `to_dict`. Raises KeyError, TypeError or ValueError for anything else."""
        schedule = {**values["schedule"], "milestones": tuple(values["schedule"]["milestones"])}
        distillation = values.get("distillation")
        return cls(
            **{
                **values,
                "model": model_from_dict(values["model"]),
                "stages": tuple(Stage(**stage) for stage in values["stages"]),
                "augmentation": Augmentation(**values["augmentation"]),
                "schedule": Schedule(**schedule),
                "distillation": None if distillation is None else Distillation(**distillation),
            }
        )

    def digest(self) -> str:
        """Names the configuration: a run resumes only from one of the same.

        `workers` changes no result; a field of LATER_FIELDS counts where it is not at its default, so that a run of
        earlier code goes on.
        """
        values = self.to_dict()
        del values["workers"]
        for part, names in LATER_FIELDS.items():
            holder, known = (getattr(self, part), values[part]) if part else (self, values)
            defaults = {field.name: field.default for field in dataclasses.fields(holder)}
            for name in names:
                if getattr(holder, name) == defaults[name]:
                    del known[name]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
