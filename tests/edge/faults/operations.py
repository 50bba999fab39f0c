"""Every file system operation of this process below one folder: counted, written down, and made to fail on demand.

Nothing is listed by hand: whatever the updater and the libraries under it do through `os` and `open` comes by here.
"""

from __future__ import annotations

import _io
import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Kind = Literal["read", "create", "write", "fsync", "rename", "symlink", "unlink", "mkdir", "rmdir", "truncate"]
Fault = Literal["error", "full", "readonly", "kill"]
NEEDS_SPACE: Final = frozenset({"create", "write", "symlink", "mkdir", "fsync"})


@dataclass(frozen=True)
class Operation:
    """One operation, with what is needed to do it again on a model of the disk."""

    kind: Kind
    path: str
    target: str = ""
    """Where a rename goes, or what a symlink says."""
    data: bytes = b""
    size: int = 0
    """Where a write begins, or the length that a truncation leaves."""


@dataclass
class Disk:
    """Stands between the process and the folder; `fault` happens at operation number `at`, from 0."""

    root: str
    fault: Fault | None = None
    at: int = -1
    done: list[Operation] = field(default_factory=list)

    def meet(self, operation: Operation) -> None:
        """Called before an operation is done; raises, or ends the process, where it shall fail."""
        if not operation.path.startswith(self.root):
            return
        number = len(self.done)
        self.done.append(operation)
        if self.fault == "kill" and number == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "error" and number == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO), operation.path)
        if number >= self.at and operation.kind != "read":
            if self.fault == "readonly":
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), operation.path)
            if self.fault == "full" and operation.kind in NEEDS_SPACE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), operation.path)

    def install(self) -> None:
        """From now on, see everything. There is no way back: the process is a child that ends."""
        disk = self
        real = {name: getattr(os, name) for name in ("open", "fsync", "mkdir", "rmdir", "symlink")}
        real_open = builtins.open

        class TracedFile(io.FileIO):
            def write(self, data: Any, /) -> int:
                path, view = _path_of(self.fileno()), bytes(data)
                begin = os.fstat(self.fileno()).st_size if "a" in self.mode else self.tell()
                disk.meet(Operation("write", path, data=view, size=begin))
                return super().write(view)

            def truncate(self, size: int | None = None, /) -> int:
                length = self.tell() if size is None else size
                disk.meet(Operation("truncate", _path_of(self.fileno()), size=length))
                return super().truncate(size)

        def traced_open(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
            if isinstance(file, int) or not set(mode) & set("wax+"):
                if not isinstance(file, int):
                    disk.meet(Operation("read", _absolute(file)))
                return real_open(file, mode, buffering, *rest, **named)
            opener = named.get("opener")
            if opener is None:
                disk.meet(Operation("create", _absolute(file)))
                if "w" in mode and Path(file).exists():
                    disk.meet(Operation("truncate", _absolute(file), size=0))
            raw = TracedFile(file, mode.replace("b", "").replace("t", ""), opener=opener)
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, "utf-8")

        def traced_os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            kind: Kind = "create" if flags & os.O_CREAT else "read"
            disk.meet(Operation(kind, _absolute(path, dir_fd)))
            return int(real["open"](path, flags, mode, dir_fd=dir_fd))

        def traced_fsync(descriptor: int) -> None:
            disk.meet(Operation("fsync", _path_of(descriptor)))
            real["fsync"](descriptor)

        def traced_symlink(source: Any, link: Any, *rest: Any, **named: Any) -> None:
            disk.meet(Operation("symlink", _absolute(link), target=os.fspath(source)))
            real["symlink"](source, link, *rest, **named)

        for module in (builtins, io, _io):
            setattr(module, "open", traced_open)  # noqa: B010
        changes: dict[str, Callable[..., Any]] = {
            "open": traced_os_open,
            "fsync": traced_fsync,
            "symlink": traced_symlink,
            "rename": _renaming(disk, os.rename),
            "replace": _renaming(disk, os.replace),
            "unlink": _at_path(disk, "unlink", os.unlink),
            "remove": _at_path(disk, "unlink", os.remove),
            "mkdir": _at_path(disk, "mkdir", real["mkdir"]),
            "rmdir": _at_path(disk, "rmdir", real["rmdir"]),
        }
        for name, traced in changes.items():
            setattr(os, name, traced)


def _renaming(disk: Disk, real: Callable[..., Any]) -> Callable[..., Any]:
    def traced(source: Any, target: Any, **named: Any) -> None:
        disk.meet(Operation("rename", _absolute(source), target=_absolute(target)))
        real(source, target, **named)

    return traced


def _at_path(disk: Disk, kind: Kind, real: Callable[..., Any]) -> Callable[..., Any]:
    def traced(path: Any, *rest: Any, dir_fd: int | None = None, **named: Any) -> None:
        disk.meet(Operation(kind, _absolute(path, dir_fd)))
        real(path, *rest, dir_fd=dir_fd, **named)

    return traced


def _absolute(path: Any, dir_fd: int | None = None) -> str:
    text = os.fspath(path)
    text = text.decode() if isinstance(text, bytes) else text
    return os.path.join(_path_of(dir_fd), text) if dir_fd is not None else os.path.abspath(text)  # noqa: PTH100, PTH118


def _path_of(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
