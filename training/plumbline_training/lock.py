"""One run folder, one process."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from plumbline_training.errors import RunInUse

LOCK_FILE = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder until the block ends; the system lets go of it when the process dies. Raises RunInUse."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with (folder / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunInUse(
                f"{str(folder)!r}: another training writes there; wait for it or choose another --out"
            ) from error
        yield
