"""A few steps of a tiny net, alone or as one of torchrun's processes: `python steps.py DATA.yaml OUT.pt ACCUMULATE`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch

from plumbline_training import recipes
from plumbline_training.batches import Batches, loader
from plumbline_training.crops import ImageStore
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.distributed import joined
from plumbline_training.state import start
from plumbline_training.step import Stepper
from plumbline_training.tasks import TopDown


def main(data: Path, out: Path, accumulate: int) -> None:
    """Write the loss after each step and the weights after the last."""
    tiny = recipes.tiny()
    config = dataclasses.replace(tiny, schedule=dataclasses.replace(tiny.schedule, accumulate=accumulate))
    dataset = load_dataset(load_dataset_list(data).train[0])
    with joined() as processes:
        torch.manual_seed(config.seed)
        task = TopDown(config)
        samples = task.samples([dataset], ImageStore([dataset], quiet=True), 0)
        state = start(config, 3, processes.device)
        state.optimiser = torch.optim.SGD(state.net.parameters(), lr=0.1)
        step, losses = Stepper(state, task, config, processes), []
        for batch in loader(samples, Batches(len(samples), config, 0, processes), 0, processes.device):
            losses.append(float(processes.mean(step(batch, config.final_stage))))
        if processes.first:
            torch.save({"losses": losses, "weights": dict(state.net.named_parameters())}, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
