"""One run from configuration to weights: epochs of augmented crops, AP after each, checkpoints that resume."""

from __future__ import annotations

import contextlib
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
from plumbline_training.checkpoint import load_checkpoint, save_atomically, weights_of, write_atomically
from plumbline_training.config import RunConfig, Stage
from plumbline_training.crops import ImageStore, Sample, TrainingCrops, check_readable
from plumbline_training.datasets import Dataset
from plumbline_training.errors import InvalidCheckpoint, InvalidDataset, TrainingDiverged
from plumbline_training.evaluate import Evaluation, evaluate
from plumbline_training.hrnet import HRNet
from plumbline_training.lock import locked
from plumbline_training.losses import LOSSES, spatial_loss
from plumbline_training.predictors import HeatmapPredictor, torch_model
from plumbline_training.targets import Targets, disc_targets, gaussian_targets

STRIDE = 4.0
SPEC = InputSpec(height=256, width=192)
"""Whose mean and deviation training uses: the contract's defaults, as the exported model will."""
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
    What can be wrong is looked for before the long work, and OUT is made only then. Raises InvalidCheckpoint when OUT
    holds another configuration's run, RunInUse when another process trains into it, TrainingDiverged on a loss that is
    not finite.
    """
    source = None if initial is None else initial_weights(config, initial)
    digest = lineage.data_digest(train_sets, validation)
    with contextlib.ExitStack() as held:
        if out.is_dir():
            held.enter_context(locked(out))
            check_resumable(config, digest, out / LAST_CHECKPOINT)
        check_readable(validation, quiet)
        images = ImageStore(train_sets, quiet)
        steps_an_epoch = len(TrainingCrops(train_sets, images, config, 0)) // config.schedule.batch_size
        if steps_an_epoch < 1:
            raise InvalidDataset(
                f"fewer persons than one batch of {config.schedule.batch_size}: add data or lower the batch"
            )
        torch.manual_seed(config.seed)
        state = start(config, steps_an_epoch, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        state.data_digest = digest
        if source is not None:
            initialise(state, source)
        if not out.is_dir():
            out.mkdir(parents=True)
            held.enter_context(locked(out))
        resume(state, config, out / LAST_CHECKPOINT)
        lineage.write_run_record(config, train_sets, validation, out, state.initial)
        _run_epochs(state, config, train_sets, validation, images, out, quiet, stop_after)
    return out / BEST_CHECKPOINT


def _run_epochs(
    state: TrainingState,
    config: RunConfig,
    train_sets: Sequence[Dataset],
    validation: Dataset,
    images: ImageStore,
    out: Path,
    quiet: bool,
    stop_after: int | None,
) -> None:
    device = next(state.net.parameters()).device
    for epoch in range(state.epoch, min(config.epochs, stop_after or config.epochs)):
        started = time.monotonic()
        loss, rate = _train_epoch(state, config, TrainingCrops(train_sets, images, config, epoch), device, quiet)
        measured = evaluate(validation, stage_predictor(state.evaluated, config, config.stage_at(epoch)), False, True)
        state.epoch = epoch + 1
        _record(state, config, out, loss, rate, measured, train_sets)
        if not quiet:
            tqdm.write(_progress(config, state.epoch, loss, rate, measured, time.monotonic() - started))


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


@dataclass(frozen=True)
class Initial:
    """Weights that a run starts from, and what is kept of where they come from."""

    weights: dict[str, Tensor]
    record: dict[str, Any]


def initial_weights(config: RunConfig, checkpoint: Path) -> Initial:
    """The weights of another run or of a bare state dict. Raises InvalidCheckpoint for another architecture's."""
    saved = load_checkpoint(checkpoint)
    try:
        weights = weights_of(saved)
        with torch.device("meta"):
            HRNet(config.model).load_state_dict({key: value.to("meta") for key, value in weights.items()})
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidCheckpoint(f"{str(checkpoint)!r} does not fit recipe {config.recipe!r} ({reason})") from error
    return Initial(weights, lineage.initial_record(checkpoint, saved))


def initialise(state: TrainingState, initial: Initial) -> None:
    """Start from another run's weights."""
    state.net.load_state_dict(initial.weights)
    state.initial = initial.record
    if state.averaged is not None:
        state.averaged.module.load_state_dict(state.net.state_dict())


def check_resumable(config: RunConfig, data_digest: str, path: Path) -> dict[str, Any] | None:
    """The checkpoint to go on from, or None. Raises InvalidCheckpoint for another configuration's or other data's."""
    if not path.exists():
        return None
    saved = load_checkpoint(path)
    if saved.get("config_digest") not in config.known_as():
        raise InvalidCheckpoint(
            f"{str(path)!r} belongs to a run with another configuration; choose another --out or delete the folder"
        )
    if saved.get("data_digest", data_digest) != data_digest:
        raise InvalidCheckpoint(
            f"{str(path)!r} belongs to a run on other data; choose another --out or delete the folder"
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
    """uint8 RGB crops as (B, 3, H, W) float32 in channels-last memory, as the contract's `to_tensor` does."""
    mean = torch.tensor(SPEC.mean, device=crops_BHW3.device) * 255
    deviation = torch.tensor(SPEC.std, device=crops_BHW3.device) * 255
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
    write_atomically("".join(json.dumps(item) + "\n" for item in lines), out / METRICS_FILE)
    plots.curves(lines, out / "curves.png")
    weights = {"net": state.evaluated.state_dict(), "config": config.to_dict(), "epoch": state.epoch, "ap": measured.ap}
    weights["datasets"] = [dataset.lineage().model_dump() for dataset in train_sets]
    weights |= {"git_commit": lineage.git_commit(), "tools": lineage.tool_versions(), "initial": state.initial}
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
            "data_digest": state.data_digest,
            "initial": state.initial,
        },
        out / LAST_CHECKPOINT,
    )


def _progress(
    config: RunConfig, epoch: int, loss: float, images_a_second: float, measured: Evaluation, epoch_seconds: float
) -> str:
    """One line on the epoch that ended, with the time to the end of the run."""
    stage = config.stage_at(epoch - 1)
    if epoch == config.epochs:
        ahead = "done"
    else:
        ahead = f"{config.epochs - epoch} epochs, about {duration(seconds_to_go(config, epoch, epoch_seconds))} to go"
    return (
        f"epoch {epoch}/{config.epochs} {stage.height}x{stage.width} loss {loss:.4f} AP {measured.ap:.3f} "
        f"AP50 {measured.ap50:.3f} PCK {measured.pck:.3f} {images_a_second:.0f} images/s, {ahead}"
    )


def seconds_to_go(config: RunConfig, epoch: int, epoch_seconds: float) -> float:
    """Time for the epochs after the first `epoch`, when the last one took so long: it grows with the pixels."""
    pixels = [stage.height * stage.width for stage in map(config.stage_at, range(config.epochs))]
    return epoch_seconds * sum(pixels[epoch:]) / pixels[epoch - 1]


def duration(seconds: float) -> str:
    """'2 h 05 min', '7 min' or '40 s'."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _metrics_before(out: Path, epoch: int) -> Iterator[dict[str, Any]]:
    """The figures of earlier epochs; a line that a crash cut short is left out."""
    path = out / METRICS_FILE
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            line = json.loads(text)
            if line["epoch"] < epoch:
                yield line
