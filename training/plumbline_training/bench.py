"""What the training step and its loader do a second, against plain ones in the same run: `make bench-training`."""

from __future__ import annotations

import argparse
import dataclasses
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from plumbline_contract.box import Box
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.architectures import build
from plumbline_training.batches import Batches, loader
from plumbline_training.config import RunConfig, Stage
from plumbline_training.crops import ImageStore, Sample
from plumbline_training.datasets import Dataset, DatasetEntry, Person
from plumbline_training.distributed import Processes
from plumbline_training.losses import LOSSES
from plumbline_training.recipes import RECIPES, recipe_named
from plumbline_training.state import start
from plumbline_training.step import Stepper
from plumbline_training.tasks import TopDown, draw_targets, normalise

ROUNDS = 5
PICTURES = 32
PICTURE_SIZE = (480, 640)


def made_dataset(folder: Path, persons: int) -> Dataset:
    """Noise at COCO's usual size, JPEG-encoded, with a person's box and keypoints in each."""
    generator = np.random.default_rng(0)
    height, width = PICTURE_SIZE
    paths = [folder / f"{number:04d}.jpg" for number in range(PICTURES)]
    for path in paths:
        coarse = generator.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        path.write_bytes(cv2.imencode(".jpg", cv2.resize(coarse, (width, height)))[1].tobytes())
    points_NK2 = generator.uniform((220, 90), (420, 390), (persons, NUM_KEYPOINTS, 2))
    keypoints_NK3 = np.concatenate([points_NK2, np.full((persons, NUM_KEYPOINTS, 1), 2)], axis=2).astype(np.float32)
    everyone = tuple(
        Person(paths[number % PICTURES], number % PICTURES, Box(320, 240, 200, 300), keypoints_K3, 30_000.0)
        for number, keypoints_K3 in enumerate(keypoints_NK3)
    )
    entry = DatasetEntry(id="made", annotations=folder / "none.json", images=folder)
    return Dataset(entry, everyone, PICTURES, "0" * 64, ())


def plain_step(config: RunConfig, stage: Stage, device: torch.device) -> Callable[[Sample], None]:
    """What a first version does: eager, float32, NCHW, unfused."""
    net = build(config.model).to(device).train()
    optimiser = torch.optim.Adam(net.parameters(), 1e-3, fused=False, foreach=False)

    def step(batch: Sample) -> None:
        images = normalise(batch.crop_HW3.to(device)).contiguous()
        targets = draw_targets(config, stage, batch.keypoints_K3.to(device))
        optimiser.zero_grad()
        loss = LOSSES[config.loss](net(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()

    return step


def rate(work: Callable[[], int], device: torch.device) -> float:
    """Images a second of work that returns how many it did."""
    started = time.perf_counter()
    images = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return images / (time.perf_counter() - started)


def repeated(step: Callable[[Sample], object], batch: Sample, steps: int) -> Callable[[], int]:
    """So many steps on one batch."""

    def work() -> int:
        for _ in range(steps):
            step(batch)
        return steps * len(batch.crop_HW3)

    return work


def measure(config: RunConfig, steps: int, compiled: bool) -> Iterator[str]:
    """Lines of the report. Every figure is the median of ROUNDS rounds, the contestants taking turns."""
    stage, size = config.final_stage, config.schedule.batch_size
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    processes, task = Processes(0, 1, device), TopDown(config)
    with tempfile.TemporaryDirectory() as folder:
        dataset = made_dataset(Path(folder), steps * size)
        samples = task.samples([dataset], ImageStore([dataset], quiet=True), 0)
        batches = Batches(len(samples), config, 0, processes)
        synthetic = next(iter(loader(samples, batches, 0, device)))
        ours = Stepper(start(config, steps, device), task, config, processes, compiled)
        plain = plain_step(config, stage, device)

        def step(batch: Sample) -> object:
            return ours(batch, stage)

        def loaded() -> int:
            for batch in loader(samples, batches, config.workers, device):
                step(batch)
            return len(batches) * size

        contestants = {
            "our step, one batch again": repeated(step, synthetic, steps),
            "plain step, one batch again": repeated(plain, synthetic, steps),
            "our step with its loader": loaded,
        }
        for work in (repeated(step, synthetic, 2), repeated(plain, synthetic, 2)):
            work()
        rounds = [{name: rate(work, device) for name, work in contestants.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(entry[name] for entry in rounds) for name in contestants}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    yield f"{config.recipe} at {stage.height}x{stage.width}, batch {size}, {config.workers} workers, on {name}"
    for label, value in medians.items():
        yield f"  {label:<28} {value:8.1f} images/s"
    first, second, third = medians.values()
    yield f"  our step against the plain one {first / second:.2f}; loader against synthetic {third / first:.2f}"
    if device.type == "cuda":
        yield f"  most GPU memory {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m plumbline_training.bench",
        description="Images a second of the training step against a plain eager float32 one, and of the loader "
        "against one batch repeated, on made pictures.",
    )
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="edge_s")
    parser.add_argument("--size", default="128x96", metavar="HxW", help="input size (default 128x96)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6, help="steps a round (default 6)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="our step through torch.compile")
    arguments = parser.parse_args()
    config = recipe_named(arguments.recipe)
    height, width = map(int, arguments.size.split("x"))
    config = dataclasses.replace(
        config,
        stages=(Stage(height, width, 1),),
        schedule=dataclasses.replace(config.schedule, batch_size=arguments.batch_size, accumulate=1),
        workers=arguments.workers,
    )
    for line in measure(config, arguments.steps, arguments.compile):
        print(line, flush=True)


if __name__ == "__main__":
    main()
