"""Reads the tensors of a checkpoint that holds objects of programs that are not installed; runs no code of the file.

mmpose's checkpoints carry numpy scalars, message hubs and histories beside their weights. Passed to torch.load as its
`pickle_module`.
"""

from __future__ import annotations

import collections
import pickle
from typing import Any

import torch

REBUILDERS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
"""The functions of torch._utils by which a pickle makes tensors of storages."""


class Inert:
    """Stands for an object of a class that is not to be loaded: takes whatever a pickle gives it, and drops it."""

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """As a list that is pickled needs."""

    def extend(self, items: object) -> None:
        """As a list that is pickled needs."""

    def add(self, item: object) -> None:
        """As a set that is pickled needs."""


class Unpickler(pickle.Unpickler):
    """Knows tensors and plain containers; every other class is Inert."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in REBUILDERS:
            return getattr(torch._utils, name)
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return getattr(torch if module == "torch" else torch.storage, name)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return Inert


def load(file: Any, **options: Any) -> Any:
    """As pickle.load."""
    return Unpickler(file, **options).load()
