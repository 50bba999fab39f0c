"""The folder as it would be on the disk after a power cut: what was not synced may be gone, in the two ways that hurt.

`strict`: a name counts only once its folder was synced, and content only once its file was.
`eager`: names are on the disk at once, contents only once their file was synced (files of length 0 after a rename).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from tests.edge.faults.operations import Operation

Loss = Literal["strict", "eager"]
LOSSES: Final[tuple[Loss, ...]] = ("strict", "eager")


@dataclass
class File:
    """A file: what the system holds of it, and what of that is on the disk."""

    content: bytes = b""
    synced: bytes = b""


Node = File | str | None
"""A file, the target of a symlink, or a folder."""


@dataclass
class Model:
    """Names as the running system sees them, and as the disk has them."""

    names: dict[str, Node] = field(default_factory=dict)
    on_disk: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Model:
        """A folder that has been at rest for long: all of it is on the disk."""
        model = cls()
        for path in [folder, *sorted(folder.rglob("*"))]:
            model.names[str(path)] = _read(path)
        model.on_disk = dict(model.names)
        return model

    def apply(self, operation: Operation) -> None:
        """Do what the process did."""
        path, node = operation.path, self.names.get(operation.path)
        match operation.kind:
            case "create":
                self.names.setdefault(path, File())
            case "mkdir":
                self.names.setdefault(path, None)
            case "symlink":
                self.names.setdefault(path, operation.target)
            case "unlink" | "rmdir":
                self.names.pop(path, None)
            case "rename":
                self._rename(path, operation.target)
            case "fsync":
                self._sync(path)
        if isinstance(node, File) and operation.kind == "write":
            before = node.content[: operation.size].ljust(operation.size, b"\0")
            node.content = before + operation.data + node.content[operation.size + len(operation.data) :]
        if isinstance(node, File) and operation.kind == "truncate":
            node.content = node.content[: operation.size]

    def write(self, loss: Loss, source: str, target: Path) -> None:
        """Lay out what is on the disk, as the folder `target` in place of `source`."""
        names = self.on_disk if loss == "strict" else self.names
        for path in sorted(names):
            place, node = target / os.path.relpath(path, source), names[path]
            if not place.parent.is_dir() and path != source:
                continue  # its folder never reached the disk
            if node is None:
                place.mkdir(exist_ok=True)
            elif isinstance(node, str):
                place.symlink_to(node)
            else:
                place.write_bytes(node.synced)

    def _rename(self, source: str, target: str) -> None:
        for path in [name for name in self.names if name == target or name.startswith(f"{target}/")]:
            del self.names[path]
        for path in [name for name in self.names if name == source or name.startswith(f"{source}/")]:
            self.names[target + path[len(source) :]] = self.names.pop(path)

    def _sync(self, path: str) -> None:
        node = self.names.get(path)
        if isinstance(node, File):
            node.synced = node.content
            return
        for known in {*self.names, *self.on_disk}:
            if os.path.dirname(known) != path:  # noqa: PTH120
                continue
            if known in self.names:
                self.on_disk[known] = self.names[known]
                self._adopt(known)
            else:
                for lost in [name for name in self.on_disk if name == known or name.startswith(f"{known}/")]:
                    del self.on_disk[lost]

    def _adopt(self, moved: str) -> None:
        """A folder that was renamed brings along what of it was synced under its old name."""
        inside = [name for name in self.names if name.startswith(f"{moved}/")]
        held = {id(node) for node in self.on_disk.values() if isinstance(node, File)}
        for name in inside:
            if name not in self.on_disk and id(self.names[name]) in held:
                self.on_disk[name] = self.names[name]


def _read(path: Path) -> Node:
    if path.is_symlink():
        return str(path.readlink())
    if path.is_dir():
        return None
    return File(path.read_bytes(), path.read_bytes())


def cuts(before: Path, operations: Sequence[Operation]) -> list[Model]:
    """The model as it was when each operation was about to happen: one power cut for each."""
    models = []
    for count in range(len(operations)):
        model = Model.of(before)
        for operation in operations[:count]:
            model.apply(operation)
        models.append(model)
    return models
