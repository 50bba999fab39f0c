"""One run from configuration to weights: epochs of augmented crops, AP after each, checkpoints that resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import swa_utils
from torch.utils.data import DataLoader
from tqdm import tqdm

from plumbline_contract.manifest import InputSpec
from plumbline_training import lineage, plots
from plumbline_training.checkpoint import clean_keys, load_checkpoint, save_atomically
from plumbline_training.config import IMAGENET_MEAN, IMAGENET_STD, RunConfig, Stage
from plumbline_training.crops import ImageStore, Sample, TrainingCrops
from plumbline_training.datasets import Dataset
from plumbline_training.errors import InvalidCheckpoint, InvalidDataset, TrainingDiverged
from plumbline_training.evaluate import Evaluation, evaluate
from plumbline_training.hrnet import HRNet
from plumbline_training.losses import LOSSES, spatial_loss
from plumbline_training.predictors import HeatmapPredictor, torch_model
from plumbline_training.targets import Targets, disc_targets, gaussian_targets

STRIDE = 4.0
LAST_CHECKPOINT = "last.pt"
BEST_CHECKPOINT = "best.pt"
METRICS_FILE = "metrics.jsonl"


@dataclass
class TrainingState:
    """All that a resumed run needs."""

    net: HRNet
    averaged: swa_utils.AveragedModel | None
    optimiser: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LambdaLR
    epoch: int = 0
    best_ap: float = -1.0

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are measured and exported: the averaged ones where there are any."""
        if self.averaged is None:
            return self.net
        module = self.averaged.module
        assert isinstance(module, nn.Module)
        return module


def train(
    config: RunConfig,
    train_sets: Sequence[Dataset],
    validation: Dataset,
    out: Path,
    quiet: bool = False,
    initial: Path | None = None,
    stop_after: int | None = None,
) -> Path:
    """Train to the end, or go on from OUT/last.pt; returns the path of the best checkpoint.

    A fresh run starts from the weights of the checkpoint `initial` where one is given. It ends early after epoch
    `stop_after`, its schedule unchanged, and a later call goes on.
    Raises InvalidCheckpoint when OUT holds another configuration's run, TrainingDiverged on a loss that is not finite.
    """
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out.mkdir(parents=True, exist_ok=True)
    images = ImageStore(train_sets, quiet)
    steps_an_epoch = len(TrainingCrops(train_sets, images, config, 0)) // config.schedule.batch_size
    if steps_an_epoch < 1:
        raise InvalidDataset(
            f"fewer persons than one batch of {config.schedule.batch_size}: add data or lower the batch"
        )
    state = start(config, steps_an_epoch, device)
    if initial is not None:
        initialise(state, config, initial)
    resume(state, config, out / LAST_CHECKPOINT)
    lineage.write_run_record(config, train_sets, validation, out)
    for epoch in range(state.epoch, min(config.epochs, stop_after or config.epochs)):
        loss, rate = _train_epoch(state, config, TrainingCrops(train_sets, images, config, epoch), device, quiet)
        measured = evaluate(validation, stage_predictor(state.evaluated, config, config.stage_at(epoch)), False, True)
        state.epoch = epoch + 1
        _record(state, config, out, loss, rate, measured, train_sets, quiet)
    return out / BEST_CHECKPOINT


def start(config: RunConfig, steps_an_epoch: int, device: torch.device) -> TrainingState:
    """A fresh net with its optimiser and learning-rate schedule."""
    schedule = config.schedule
    net = HRNet(config.model).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimisers: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    arguments: dict[str, Any] = {"lr": schedule.learning_rate, "weight_decay": schedule.weight_decay}
    optimiser = optimisers[schedule.optimiser](net.parameters(), **arguments)
    total = steps_an_epoch * config.epochs

    def rate(step: int) -> float:
        warmup = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
        if schedule.decay == "cosine":
            return warmup * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))))
        return warmup * 0.1 ** sum(step >= milestone * steps_an_epoch for milestone in schedule.milestones)

    averaged = None
    if schedule.ema_decay:
        averaged = swa_utils.AveragedModel(net, avg_fn=moving_average(schedule.ema_decay), use_buffers=True)
    return TrainingState(net, averaged, optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate))


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """An exponential moving average, quick at first: after n updates its decay is at most (1 + n) / (10 + n)."""

    def average(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():
            return current
        return torch.lerp(averaged, current, 1 - min(decay, (1 + int(updates)) / (10 + int(updates))))

    return average


def initialise(state: TrainingState, config: RunConfig, checkpoint: Path) -> None:
    """Start from another run's weights. Raises InvalidCheckpoint when they are another architecture's."""
    saved = load_checkpoint(checkpoint)
    try:
        state.net.load_state_dict(clean_keys(saved["net"]))
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidCheckpoint(f"{str(checkpoint)!r} does not fit recipe {config.recipe!r} ({reason})") from error
    if state.averaged is not None:
        state.averaged.module.load_state_dict(state.net.state_dict())


def resume(state: TrainingState, config: RunConfig, path: Path) -> None:
    """Go on where `path` stopped; a missing file is a fresh start."""
    if not path.exists():
        return
    saved = load_checkpoint(path)
    if saved.get("config_digest") != config.digest():
        raise InvalidCheckpoint(
            f"{str(path)!r} belongs to a run with another configuration; choose another --out or delete the folder"
        )
    state.net.load_state_dict(saved["net"])
    if state.averaged is not None:
        state.averaged.load_state_dict(saved["averaged"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.scheduler.load_state_dict(saved["scheduler"])
    state.epoch, state.best_ap = saved["epoch"], saved["best_ap"]


def stage_predictor(net: nn.Module, config: RunConfig, stage: Stage, flip: bool = False) -> HeatmapPredictor:
    """The net as a predictor at a stage's input size."""
    net.eval()
    return HeatmapPredictor(
        model=torch_model(net, InputSpec(height=stage.height, width=stage.width, layout="NCHW")),
        height=stage.height,
        width=stage.width,
        stride=STRIDE,
        box_padding=config.box_padding,
        decode=config.decode,
        stage="torch",
        precision="fp32",
        flip=flip,
    )


def _train_epoch(
    state: TrainingState, config: RunConfig, crops: TrainingCrops, device: torch.device, quiet: bool
) -> tuple[float, float]:
    """One pass over the crops; returns the mean loss and images a second."""
    state.net.train()
    stage = config.stage_at(state.epoch)
    generator = torch.Generator().manual_seed(config.seed * 100_003 + state.epoch)
    loader: DataLoader[Sample] = DataLoader(
        crops,
        config.schedule.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=config.workers,
        pin_memory=device.type == "cuda",
        generator=generator,
    )
    started, total = time.monotonic(), 0.0
    label = f"epoch {state.epoch + 1}/{config.epochs} {stage.height}x{stage.width}"
    bar = tqdm(loader, desc=label, unit="batch", disable=quiet or None, leave=False)
    for step, batch in enumerate(bar):
        total += _step(state, config, stage, Sample(*batch), device)
        mean = total / (step + 1)
        bar.set_postfix(loss=f"{mean:.4f}", images_s=f"{(step + 1) * len(batch[0]) / (time.monotonic() - started):.0f}")
    return total / len(loader), len(loader) * config.schedule.batch_size / (time.monotonic() - started)


def _step(state: TrainingState, config: RunConfig, stage: Stage, batch: Sample, device: torch.device) -> float:
    """One optimiser step; returns the loss."""
    images = normalise(batch.crop_HW3.to(device, non_blocking=True))
    targets = draw_targets(config, stage, batch.keypoints_K3.to(device, non_blocking=True))
    with torch.autocast(device.type, torch.bfloat16):
        logits_BKHW = state.net(images)
    logits_BKHW = logits_BKHW.float()
    loss = LOSSES[config.loss](logits_BKHW, targets)
    if config.spatial_weight:
        loss = loss + config.spatial_weight * spatial_loss(logits_BKHW, targets)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingDiverged(
            f"the loss became {value!r} in epoch {state.epoch + 1}; the last good epoch is kept: lower the rate"
        )
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), 10.0)
    state.optimiser.step()
    state.scheduler.step()
    if state.averaged is not None:
        state.averaged.update_parameters(state.net)
    return value


def normalise(crops_BHW3: Tensor) -> Tensor:
    """uint8 RGB crops as (B, 3, H, W) float32 in channels-last memory, by ImageNet's mean and deviation."""
    mean = torch.tensor(IMAGENET_MEAN, device=crops_BHW3.device) * 255
    deviation = torch.tensor(IMAGENET_STD, device=crops_BHW3.device) * 255
    return ((crops_BHW3.float() - mean) / deviation).permute(0, 3, 1, 2)


def draw_targets(config: RunConfig, stage: Stage, keypoints_BK3: Tensor) -> Targets:
    """The heatmaps of a batch at a stage's size."""
    draw = gaussian_targets if config.target == "gaussian" else disc_targets
    return draw(keypoints_BK3, int(stage.height / STRIDE), int(stage.width / STRIDE), STRIDE, stage.target_size)


def _record(
    state: TrainingState,
    config: RunConfig,
    out: Path,
    loss: float,
    images_a_second: float,
    measured: Evaluation,
    train_sets: Sequence[Dataset],
    quiet: bool,
) -> None:
    """Append the epoch's figures, draw the curves, save the checkpoints."""
    stage = config.stage_at(state.epoch - 1)
    line = {
        "epoch": state.epoch,
        "height": stage.height,
        "loss": loss,
        "images_per_second": images_a_second,
        "learning_rate": state.scheduler.get_last_lr()[0],
        **{key: value for key, value in asdict(measured).items() if value is not None},
    }
    lines = [*_metrics_before(out, state.epoch), line]
    (out / METRICS_FILE).write_text("".join(json.dumps(item) + "\n" for item in lines), encoding="utf-8")
    plots.curves(lines, out / "curves.png")
    weights = {"net": state.evaluated.state_dict(), "config": config.to_dict(), "epoch": state.epoch, "ap": measured.ap}
    weights["datasets"] = [dataset.lineage().model_dump() for dataset in train_sets]
    # Only the last size counts: a better AP at a smaller input is no better model to export.
    if stage != config.final_stage or measured.ap >= state.best_ap:
        state.best_ap = measured.ap if stage == config.final_stage else -1.0
        save_atomically(weights, out / BEST_CHECKPOINT)
    save_atomically(
        {
            "net": state.net.state_dict(),
            "averaged": state.averaged.state_dict() if state.averaged is not None else None,
            "optimiser": state.optimiser.state_dict(),
            "scheduler": state.scheduler.state_dict(),
            "epoch": state.epoch,
            "best_ap": state.best_ap,
            "config_digest": config.digest(),
        },
        out / LAST_CHECKPOINT,
    )
    if not quiet:
        remaining = config.epochs - state.epoch
        tqdm.write(
            f"epoch {state.epoch}/{config.epochs} {stage.height}x{stage.width} loss {loss:.4f} AP {measured.ap:.3f} "
            f"AP50 {measured.ap50:.3f} PCK {measured.pck:.3f} {images_a_second:.0f} images/s, {remaining} epochs to go"
        )


def _metrics_before(out: Path, epoch: int) -> Iterator[dict[str, Any]]:
    path = out / METRICS_FILE
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line["epoch"] < epoch:
            yield line
