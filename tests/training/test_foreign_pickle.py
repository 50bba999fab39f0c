"""Checkpoints that hold objects of other programs give their weights, and run no code."""

from __future__ import annotations

import os
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plumbline_training.checkpoint import load_checkpoint, weights_of
from plumbline_training.errors import InvalidCheckpoint
from plumbline_training.foreign_pickle import Inert


class Command:
    """Pickles as a call of os.system."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self._command,)


def hub() -> Any:
    """An object of a module that is not installed when the file is read."""
    module = types.ModuleType("somebodys_engine")
    kind = type("MessageHub", (list,), {"__module__": module.__name__})
    module.__dict__["MessageHub"] = kind
    sys.modules[module.__name__] = module
    made = kind([1, 2])
    made.named = {"lr": np.float64(0.1)}
    return made


def weights() -> OrderedDict[str, torch.Tensor]:
    return OrderedDict(
        {
            "backbone.conv1.weight": torch.arange(6.0).reshape(2, 3),
            "half": torch.ones(2, dtype=torch.float16),
            "parameter": torch.nn.Parameter(torch.full((2,), 7.0)),
        }
    )


@pytest.mark.parametrize("old_format", [False, True])
def test_an_mmpose_like_file_gives_its_weights(tmp_path: Path, old_format: bool) -> None:
    path = tmp_path / "epoch_210.pth"
    meta = {"seed": np.int64(3), "classes": {"person"}, "when": np.array([1.5, 2.5])}
    content = {"meta": meta, "message_hub": hub(), "state_dict": weights()}
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    del sys.modules["somebodys_engine"]
    with pytest.raises(InvalidCheckpoint, match="more than tensors"):
        load_checkpoint(path)
    state = load_checkpoint(path, foreign=True)
    assert isinstance(state["message_hub"], Inert)
    found = weights_of(state)
    assert found.keys() == weights().keys()
    for name, value in weights().items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "bad.pth", tmp_path / "trace"
    torch.save({"state_dict": weights(), "extra": Command(f"touch {trace}")}, path)
    assert weights_of(load_checkpoint(path, foreign=True)).keys() == weights().keys()
    assert not trace.exists()
