"""Which samples make up each batch of an epoch, and the loader that prepares them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from plumbline_training.config import RunConfig
from plumbline_training.distributed import Processes
from plumbline_training.tasks import Samples

SEED_STRIDE = 100_003
"""More epochs than any run has: no two runs of different seeds share an order."""


class Batches(Sampler[list[int]]):
    """This process's equal part of every batch; the samples are shuffled by seed and epoch, the last few left over.

    Batches hold the same samples however many processes share them.
    """

    def __init__(self, samples: int, config: RunConfig, epoch: int, processes: Processes) -> None:
        self._samples, self._size, self._processes = samples, config.schedule.batch_size, processes
        self._seed = config.seed * SEED_STRIDE + epoch

    def __len__(self) -> int:
        return self._samples // self._size

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self._samples, generator=torch.Generator().manual_seed(self._seed)).tolist()
        share = self._size // self._processes.count
        for batch in range(len(self)):
            start = batch * self._size + self._processes.rank * share
            yield order[start : start + share]


def loader(samples: Samples, batches: Batches, workers: int, device: torch.device) -> DataLoader[Any]:
    """Batches prepared ahead by `workers` processes, in pinned memory where a GPU takes them."""
    return DataLoader(
        samples,  # type: ignore[arg-type]  # any map-style dataset will do
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )
