"""One run from configuration to weights: epochs of training pictures, AP after each, checkpoints that resume.

Started by torchrun, its processes share every batch; the first one measures and writes.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from plumbline_training import lineage
from plumbline_training.batches import Batches, loader
from plumbline_training.bottom_up import BottomUp
from plumbline_training.centre_net import CentreNetConfig
from plumbline_training.checkpoint import PARTIAL
from plumbline_training.config import RunConfig
from plumbline_training.crops import MAX_BROKEN_SHARE, ImageStore, check_readable
from plumbline_training.datasets import Dataset
from plumbline_training.distributed import Processes, joined
from plumbline_training.errors import InvalidDataset, InvalidSettings, TrainingDiverged
from plumbline_training.lock import locked
from plumbline_training.records import BEST_CHECKPOINT, LAST_CHECKPOINT, progress, record
from plumbline_training.state import TrainingState, check_resumable, initial_weights, initialise, resume, start
from plumbline_training.step import Stepper
from plumbline_training.tasks import Task, Teacher, TopDown
from plumbline_training.tracking import Tracker, tracked

STEPS_BETWEEN_LOOKS = 20
"""The loss is read so often: reading it makes a GPU wait."""


def train(
    config: RunConfig,
    train_sets: Sequence[Dataset],
    validation: Dataset,
    out: Path,
    *,
    quiet: bool = False,
    initial: Path | None = None,
    initial_partial: bool = False,
    stop_after: int | None = None,
    teacher: Teacher | None = None,
    trackers: Sequence[Tracker] = (),
    compiled: bool = False,
) -> Path:
    """Train to the end, or go on from OUT/last.pt; returns the path of the best checkpoint.

    A fresh run starts from the weights of the checkpoint `initial` where one is given, or, with
    `initial_partial`, from those of them that fit. It ends early after epoch
    `stop_after`, its schedule unchanged, and a later call goes on.
    What can be wrong is looked for before the long work, and OUT is made only then. Raises InvalidCheckpoint when OUT
    holds the run of another configuration or one that began from other weights than `initial`, RunInUse when another
    process trains into it, TrainingDiverged on a loss that is not finite.
    """
    bottom_up = isinstance(config.model, CentreNetConfig)
    if bottom_up and teacher is not None:
        raise InvalidSettings("--teacher: it knows crops of one person, and a bottom-up net learns whole pictures")
    source = None if initial is None else initial_weights(config, initial, initial_partial)
    if teacher is None and (mute := [item.entry.id for item in train_sets if item.entry.unlabelled]):
        raise InvalidSettings(f"dataset {mute[0]!r} is unlabelled and teaches nothing alone; name a --teacher")
    digest = lineage.data_digest(train_sets, validation)
    with contextlib.ExitStack() as held:
        processes = held.enter_context(joined())
        quiet = quiet or not processes.first
        if out.is_dir():
            _claim(held, processes, out)
            check_resumable(config, digest, out / LAST_CHECKPOINT, None if source is None else source.record)
        if processes.first:
            check_readable(validation, quiet, whole=bottom_up)
        images = ImageStore(train_sets, quiet)
        task: Task = BottomUp(config) if bottom_up else TopDown(config, teacher)
        steps = len(task.samples(train_sets, images, 0)) // config.schedule.batch_size
        if steps < 1:
            raise InvalidDataset(
                f"fewer persons than one batch of {config.schedule.batch_size}: add data or lower the batch"
            )
        torch.manual_seed(config.seed)
        state = start(config, steps, processes.device)
        state.data_digest = digest
        if source is not None:
            initialise(state, source)
            if not quiet and not (out / LAST_CHECKPOINT).exists():
                tqdm.write(f"{initial}: {source.report}")
        if not out.is_dir():
            processes.wait()
            out.mkdir(parents=True, exist_ok=True)
            _claim(held, processes, out)
        resume(state, config, out / LAST_CHECKPOINT)
        run = Run(config, task, train_sets, validation, images, out, processes, quiet)
        if processes.first:
            lineage.write_run_record(config, train_sets, validation, out, state.initial, processes.device)
            for tracker in trackers:
                held.enter_context(tracked(tracker, config, out))
        run.epochs(state, Stepper(state, task, config, processes, compiled), stop_after, trackers)
    return out / BEST_CHECKPOINT


def _claim(held: contextlib.ExitStack, processes: Processes, out: Path) -> None:
    """Hold the run's folder, and clear away what a kill left half-written."""
    if processes.first:
        held.enter_context(locked(out))
        for partial in out.glob(f"*{PARTIAL}"):
            partial.unlink()


class Run:
    """What stays the same through a run."""

    def __init__(
        self,
        config: RunConfig,
        task: Task,
        train_sets: Sequence[Dataset],
        validation: Dataset,
        images: ImageStore,
        out: Path,
        processes: Processes,
        quiet: bool,
    ) -> None:
        self._config, self._task, self._processes = config, task, processes
        self._train_sets, self._validation, self._images = train_sets, validation, images
        self._out, self._quiet = out, quiet

    def epochs(self, state: TrainingState, step: Stepper, stop_after: int | None, trackers: Sequence[Tracker]) -> None:
        """Train, measure and write, epoch by epoch."""
        config = self._config
        for epoch in range(state.epoch, min(config.epochs, stop_after or config.epochs)):
            started = time.monotonic()
            figures = self._epoch(state, step)
            state.epoch = epoch + 1
            if self._processes.first:
                measured = self._task.measure(state.evaluated.eval(), config.stage_at(epoch), self._validation)
                line = record(state, config, self._out, figures, measured, self._train_sets)
                for tracker in trackers:
                    tracker.epoch(line, self._out)
                if not self._quiet:
                    tqdm.write(progress(config, line, time.monotonic() - started))
            self._processes.wait()

    def _epoch(self, state: TrainingState, step: Stepper) -> dict[str, float]:
        """One pass over the pictures; returns the mean loss and images a second."""
        state.net.train()
        config, stage = self._config, self._config.stage_at(state.epoch)
        samples = self._task.samples(self._train_sets, self._images, state.epoch)
        batches = Batches(len(samples), config, state.epoch, self._processes)
        prepared = loader(samples, batches, config.workers, self._processes.device)
        started, (total, broken) = time.monotonic(), torch.zeros(2, device=self._processes.device).unbind()
        label = f"epoch {state.epoch + 1}/{config.epochs} {stage.height}x{stage.width}"
        bar = tqdm(prepared, desc=label, unit="batch", disable=self._quiet or None, leave=False)
        for done, batch in enumerate(bar, start=1):
            total += step(batch, stage)
            broken += batch.broken.sum().to(broken.device)
            if done % STEPS_BETWEEN_LOOKS == 0 or done == len(batches):
                mean = self._finite(self._processes.mean(total / done), state.epoch)
                speed = done * config.schedule.batch_size / (time.monotonic() - started)
                bar.set_postfix(loss=f"{mean:.4f}", images_s=f"{speed:.0f}")
        figures = {"loss": mean, "images_per_second": speed}
        left_out = round(float(self._processes.mean(broken)) * self._processes.count)
        return figures | self._checked(left_out, len(batches) * config.schedule.batch_size)

    def _checked(self, broken: int, samples: int) -> dict[str, float]:
        """Say how many samples had a picture that could not be read; raise InvalidDataset when they are many."""
        if broken > MAX_BROKEN_SHARE * samples:
            raise InvalidDataset(
                f"{broken} of {samples} samples have a picture that cannot be decoded; fetch the pictures again"
            )
        if broken and not self._quiet:
            tqdm.write(f"{broken} of {samples} samples are left out: their pictures are broken")
        return {"broken": broken} if broken else {}

    def _finite(self, loss: torch.Tensor, epoch: int) -> float:
        value = float(loss)
        if not math.isfinite(value):
            rate, best = self._config.schedule.learning_rate, self._out / BEST_CHECKPOINT
            way = f"go on with --init {str(best)!r} --out ANOTHER" if best.exists() else "start again with"
            raise TrainingDiverged(
                f"the loss became {value!r} in epoch {epoch + 1}; {way} --learning-rate {rate / 2:g} (it was {rate:g})"
            )
        return value
