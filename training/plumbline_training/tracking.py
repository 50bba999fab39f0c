"""Where a run's figures go besides its own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Hears of every epoch."""

    def epoch(self, line: dict[str, Any], out: Path) -> None:
        """The figures of the epoch that ended, as metrics.jsonl has them; OUT holds plots and checkpoints."""
        ...
