"""What a run averages, and how it goes on with it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.optim import swa_utils

from plumbline_training import recipes
from plumbline_training.state import moving_average, start


def test_the_average_is_quick_at_first_and_never_reads_a_number_on_the_device() -> None:
    model = swa_utils.AveragedModel(torch.nn.Linear(1, 1), use_buffers=True)
    average = moving_average(0.99, model)
    on_device = torch.zeros((), device="meta")  # to read it raises, as it would wait on a GPU
    for updates, share in ((1, 1 - 2 / 11), (10_000, 0.01)):
        model.n_averaged.fill_(updates)
        value = torch.zeros(1)
        average([value], [torch.ones(1)], on_device)
        assert float(value) == pytest.approx(share)


def test_a_checkpoint_of_the_average_goes_on_with_its_count() -> None:
    config = recipes.tiny()
    config = dataclasses.replace(config, schedule=dataclasses.replace(config.schedule, ema_decay=0.9))
    one, other = (start(config, 10, torch.device("cpu")) for _ in range(2))
    assert one.averaged is not None
    assert other.averaged is not None
    for _ in range(3):
        one.averaged.update_parameters(one.net)
    other.averaged.load_state_dict(one.averaged.state_dict())
    assert int(other.averaged.n_averaged) == 3
    assert other.averaged.n_averaged.device == torch.device("cpu")
