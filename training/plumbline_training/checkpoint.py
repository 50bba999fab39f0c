"""Checkpoints that survive being killed while they are written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from plumbline_training.errors import InvalidCheckpoint

STATE_PREFIXES = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every key."""


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write to a temporary file beside `path`, flush it to disk, then rename over it."""
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values; no code in it is run. Raises InvalidCheckpoint."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InvalidCheckpoint(f"{str(path)!r}: {error.strerror}; name a checkpoint that a run wrote") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidCheckpoint(f"{str(path)!r} is damaged or no checkpoint ({reason}); use an earlier one") from error
    if not isinstance(state, dict):
        raise InvalidCheckpoint(f"{str(path)!r} holds a {type(state).__name__}, not a checkpoint")
    return state


def clean_keys(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights without the prefixes that wrappers add to every key."""
    for prefix in STATE_PREFIXES:
        if weights and all(key.startswith(prefix) for key in weights):
            weights = {key[len(prefix) :]: value for key, value in weights.items()}
    return weights
