"""Files that survive being killed or running out of space while they are written; checkpoints among them."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from plumbline_training import foreign_pickle
from plumbline_training.errors import InvalidCheckpoint, WriteFailed

STATE_PREFIXES = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every key."""


PARTIAL = ".partial"
"""What the name of a file ends in while it is written."""
WRAPPERS = ("net", "state_dict", "model", "model_state_dict")
"""Keys under which a checkpoint holds its weights."""


def write_atomically(data: bytes | str, path: Path) -> None:
    """Write bytes, or text as UTF-8, to a file beside `path`, flush it to disk, then rename over it.

    Raises WriteFailed, with whatever was at `path` untouched, when the disk is full or the folder is not writable.
    """
    temporary = path.with_name(path.name + PARTIAL)
    try:
        with temporary.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WriteFailed(f"{str(path)!r} could not be written ({error.strerror}); free space and run again") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint whole or not at all. Raises WriteFailed."""
    # Into memory first: on a full disk torch's writer raises an error of its own that does not say so.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(buffer.getvalue(), path)


def load_checkpoint(path: Path, foreign: bool = False) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values; no code in it is run. Raises InvalidCheckpoint.

    Of a `foreign` one, objects of other classes are left out.
    """
    options: dict[str, Any] = {"weights_only": False, "pickle_module": foreign_pickle} if foreign else {}
    try:
        _check_sums(path)
        state = torch.load(path, map_location="cpu", **({"weights_only": True} | options))
    except OSError as error:
        raise InvalidCheckpoint(f"{str(path)!r}: {error.strerror}; name a checkpoint that a run wrote") from error
    except pickle.UnpicklingError as error:
        raise InvalidCheckpoint(
            f"{str(path)!r} is damaged, or holds more than tensors and plain values; use an earlier one"
        ) from error
    except Exception as error:  # damaged bytes make the unpickler raise nearly anything
        raise InvalidCheckpoint(f"{str(path)!r} is damaged or no checkpoint; use an earlier one") from error
    if not isinstance(state, dict):
        raise InvalidCheckpoint(f"{str(path)!r} holds a {type(state).__name__}, not a checkpoint")
    return state


def _check_sums(path: Path) -> None:
    """Compare the check sums of the archive that a checkpoint is: torch reads over a flipped bit without a word."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ValueError("the archive is damaged") from error
    if damaged is not None:
        raise ValueError(f"{damaged} is damaged")


def clean_keys(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights without the prefixes that wrappers add to every key."""
    for prefix in STATE_PREFIXES:
        if weights and all(key.startswith(prefix) for key in weights):
            weights = {key[len(prefix) :]: value for key, value in weights.items()}
    return weights


def weights_of(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights in a run's checkpoint, or in a bare state dict such as the authors release. Raises KeyError."""
    weights = next((checkpoint[key] for key in WRAPPERS if key in checkpoint), checkpoint)
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise KeyError("it holds no weights")
    return clean_keys(weights)
