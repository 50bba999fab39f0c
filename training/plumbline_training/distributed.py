"""The processes of a run: one, or those that torchrun started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

TIMEOUT = timedelta(hours=2)
"""Longer than the first process takes to measure while the others wait."""


@dataclass(frozen=True)
class Processes:
    """This process among those of the run."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one that measures, writes and talks."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()

    def mean(self, values: Tensor) -> Tensor:
        """Over the processes."""
        if self.count > 1:
            distributed.all_reduce(values)
            values = values / self.count
        return values


def own_device() -> torch.device:
    """This process's GPU, on which lies from now on what is put on "cuda"; the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    torch.cuda.set_device(device)
    return device


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun started (NCCL on GPUs, Gloo elsewhere); alone when it started none."""
    device = own_device()
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Processes(0, 1, device)
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    rank, count = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    distributed.init_process_group(backend, timeout=TIMEOUT, store=_store(), rank=rank, world_size=count)
    try:
        yield Processes(rank, count, device)
    finally:
        distributed.destroy_process_group()


def _store() -> Any:
    """Where the processes find each other, apart for every restart.

    torchrun lends the store of its own rendezvous (torch 2.13): after a restart it still holds the addresses of the
    processes that died.
    """
    environment = os.environ
    store = distributed.TCPStore(  # type: ignore[attr-defined]
        environment["MASTER_ADDR"],
        int(environment["MASTER_PORT"]),
        int(environment["WORLD_SIZE"]),
        is_master=environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and environment["RANK"] == "0",
        timeout=TIMEOUT,
        multi_tenant=True,
    )
    return distributed.PrefixStore(f"restart-{environment['TORCHELASTIC_RESTART_COUNT']}", store)  # type: ignore[attr-defined]
