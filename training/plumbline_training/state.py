"""All that a run changes as it goes, how it starts and how it goes on from a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import swa_utils

from plumbline_training import lineage
from plumbline_training.architectures import build
from plumbline_training.checkpoint import load_checkpoint, weights_of
from plumbline_training.config import RunConfig
from plumbline_training.errors import InvalidCheckpoint
from plumbline_training.numerics import fast_numerics
from plumbline_training.public_checkpoints import MatchReport, match

Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass
class TrainingState:
    """All that a resumed run needs."""

    net: nn.Module
    averaged: swa_utils.AveragedModel | None
    optimiser: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LambdaLR
    epoch: int = 0
    best_ap: float = -1.0
    data_digest: str = ""
    initial: dict[str, Any] | None = None
    """Digest and data of the checkpoint that the run started from."""

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are measured and exported: the averaged ones where there are any."""
        if self.averaged is None:
            return self.net
        module = self.averaged.module
        assert isinstance(module, nn.Module)
        return module

    def to_dict(self, config: RunConfig) -> dict[str, Any]:
        """What `resume` reads."""
        return {
            "net": self.net.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
            "optimiser": self.optimiser.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "epoch": self.epoch,
            "best_ap": self.best_ap,
            "config_digest": config.digest(),
            "data_digest": self.data_digest,
            "initial": self.initial,
        }


def start(config: RunConfig, steps_an_epoch: int, device: torch.device) -> TrainingState:
    """A fresh net with its optimiser and learning-rate schedule."""
    schedule = config.schedule
    net = build(config.model).to(device).to(memory_format=fast_numerics(device).memory_format)  # type: ignore[call-overload]
    optimisers: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    arguments: dict[str, Any] = {"lr": schedule.learning_rate, "weight_decay": schedule.weight_decay, "fused": True}
    optimiser = optimisers[schedule.optimiser](net.parameters(), **arguments)
    total = steps_an_epoch * config.epochs

    def rate(step: int) -> float:
        warmup = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
        if schedule.decay == "cosine":
            return warmup * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))))
        return warmup * 0.1 ** sum(step >= milestone * steps_an_epoch for milestone in schedule.milestones)

    averaged = None
    if schedule.ema_decay:
        averaged = swa_utils.AveragedModel(net, use_buffers=True)
        averaged.multi_avg_fn = moving_average(schedule.ema_decay, averaged)
    return TrainingState(net, averaged, optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate))


def moving_average(decay: float, model: swa_utils.AveragedModel) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average, quick at first: after n updates its decay is at most (1 + n) / (10 + n).

    n is read where the model keeps it, on the CPU: torch hands over a copy on the device, and reading that would make
    every step wait for the GPU.
    """

    def average(averaged: Tensors, current: Tensors, _updates_on_device: Tensor | int) -> None:
        if averaged[0].is_floating_point():
            updates = int(model.n_averaged)
            torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + updates) / (10 + updates)))
        else:
            torch._foreach_copy_(averaged, current)

    return average


@dataclass(frozen=True)
class Initial:
    """Weights that a run starts from, and what is kept of where they come from."""

    weights: dict[str, Tensor]
    record: dict[str, Any]
    report: MatchReport


def initial_weights(config: RunConfig, checkpoint: Path, partial: bool = False) -> Initial:
    """The weights of another run, or those that others released.

    Raises InvalidCheckpoint for another architecture's; with `partial` for none that fits.
    """
    saved = load_checkpoint(checkpoint, foreign=True)
    torch.manual_seed(config.seed)
    try:
        weights, report = match(weights_of(saved), build(config.model), partial)
    except (KeyError, InvalidCheckpoint) as error:
        raise InvalidCheckpoint(
            f"{str(checkpoint)!r} does not fit recipe {config.recipe!r} ({error.args[0]})"
        ) from error
    return Initial(weights, lineage.initial_record(checkpoint, saved), report)


def initialise(state: TrainingState, initial: Initial) -> None:
    """Start from another run's weights."""
    state.net.load_state_dict(initial.weights)
    state.initial = initial.record
    if state.averaged is not None:
        state.averaged.module.load_state_dict(state.net.state_dict())


def check_resumable(
    config: RunConfig, data_digest: str, path: Path, initial: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    """The checkpoint to go on from, or None.

    Raises InvalidCheckpoint for another configuration's, for other data's, and for that of a run which did not begin
    from the weights of `initial` where such a record is given.
    """
    if not path.exists():
        return None
    saved = load_checkpoint(path)
    if saved.get("config_digest") != config.digest():
        raise InvalidCheckpoint(
            f"{str(path)!r} belongs to a run with another configuration; choose another --out or delete the folder"
        )
    if saved.get("data_digest", data_digest) != data_digest:
        raise InvalidCheckpoint(
            f"{str(path)!r} belongs to a run on other data; choose another --out or delete the folder"
        )
    begun = (saved.get("initial") or {}).get("sha256")
    if initial is not None and begun != initial["sha256"]:
        weights = "no other weights" if begun is None else f"weights of sha256 {begun!r}"
        raise InvalidCheckpoint(
            f"{str(path)!r} belongs to a run that began from {weights}, --init has {initial['sha256']!r}; choose "
            f"another --out, or leave --init out to go on with that run"
        )
    return saved


def resume(state: TrainingState, config: RunConfig, path: Path) -> None:
    """Go on where `path` stopped; a missing file is a fresh start."""
    saved = check_resumable(config, state.data_digest, path)
    if saved is None:
        return
    state.net.load_state_dict(saved["net"])
    if state.averaged is not None:
        state.averaged.load_state_dict(saved["averaged"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.scheduler.load_state_dict(saved["scheduler"])
    state.epoch, state.best_ap = saved["epoch"], saved["best_ap"]
    state.initial = saved.get("initial", state.initial)
