"""What a power cut must not undo."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(path: Path) -> None:
    """A rename survives a power cut only once its folder is on the disk too. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
