"""One optimiser step: a batch in equal parts, over one or many processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from plumbline_training.config import RunConfig, Stage
from plumbline_training.distributed import Processes
from plumbline_training.errors import InvalidSettings
from plumbline_training.numerics import fast_numerics
from plumbline_training.state import TrainingState
from plumbline_training.tasks import Task, normalise

MAX_GRADIENT_NORM = 10.0


def parts_of(config: RunConfig, processes: Processes) -> int:
    """Parts of a batch that each process computes. Raises InvalidSettings where the batch does not divide."""
    parts = max(1, config.schedule.accumulate // processes.count)
    if config.schedule.batch_size % (parts * processes.count):
        raise InvalidSettings(
            f"a batch of {config.schedule.batch_size} does not divide over {processes.count} processes in {parts} "
            f"equal parts each; choose another --batch-size or number of processes"
        )
    return parts


def synchronised(net: nn.Module, processes: Processes) -> nn.Module:
    """The net with batch statistics over all processes; its weights stay the same objects under the same names.

    Raises InvalidSettings where several processes have no GPUs: torch exchanges batch statistics on GPUs alone.
    """
    if processes.count > 1 and processes.device.type != "cuda":
        raise InvalidSettings("--sync-batch-norm with several processes needs GPUs; leave it out or run one process")
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]
    assert isinstance(converted, nn.Module)
    return converted


class Stepper:
    """Computes the loss of a batch and moves the weights.

    The loss is the mean over the batch's parts, and each part has its own batch statistics: two processes do what one
    does in two parts. With `compiled`, torch.compile fuses the net's operations, after a minute of compiling.
    """

    def __init__(
        self, state: TrainingState, task: Task, config: RunConfig, processes: Processes, compiled: bool = False
    ) -> None:
        self._state, self._task, self._processes = state, task, processes
        self._parts = parts_of(config, processes)
        self._numerics = fast_numerics(processes.device)
        net = state.net
        if config.schedule.sync_batch_norm:
            net = synchronised(net, processes)
        if compiled:
            net = torch.compile(net)  # type: ignore[assignment]
        self._net = net
        if processes.count > 1:
            devices = [processes.device.index] if processes.device.type == "cuda" else None
            self._net = DistributedDataParallel(net, device_ids=devices, gradient_as_bucket_view=True)

    def __call__(self, batch: Any, stage: Stage) -> Tensor:
        """One step on this process's part of the batch; returns its mean loss, on the device."""
        state = self._state
        state.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._processes.device)
        count = len(batch[0]) // self._parts
        for part in range(self._parts):
            piece = type(batch)(*(field[part * count : (part + 1) * count] for field in batch))
            with self._silent() if part + 1 < self._parts else contextlib.nullcontext():
                loss = self._loss(piece, stage) / self._parts
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        nn.utils.clip_grad_norm_(state.net.parameters(), MAX_GRADIENT_NORM)
        state.optimiser.step()
        state.scheduler.step()
        if state.averaged is not None:
            state.averaged.update_parameters(state.net)
        return total

    def _loss(self, batch: Any, stage: Stage) -> Tensor:
        device = self._processes.device
        batch = type(batch)(*(field.to(device, non_blocking=True) for field in batch))
        pictures_BCHW = normalise(batch[0]).contiguous(memory_format=self._numerics.memory_format)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._numerics.dtype == torch.bfloat16):
            outputs = self._net(pictures_BCHW)
        return self._task.loss(outputs, batch, stage)

    @contextlib.contextmanager
    def _silent(self) -> Iterator[None]:
        """Gradients stay here; the last part's step exchanges the sum."""
        silent: Callable[[], contextlib.AbstractContextManager[None]] = getattr(
            self._net, "no_sync", contextlib.nullcontext
        )
        with silent():
            yield
