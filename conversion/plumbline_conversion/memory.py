"""How much memory the process holds at most, from one moment to another."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
CLEAR: Final = Path("/proc/self/clear_refs")
CLEAR_PEAK: Final = "5"
"""Linux: sets the high-water mark back to what is held now (proc(5))."""


def forget_peak() -> None:
    """Begin to measure, where the system can; elsewhere the peak is that since the process began."""
    try:
        CLEAR.write_text(CLEAR_PEAK, encoding="ascii")
    except OSError:
        return


def peak_bytes() -> int:
    """The most memory held since `forget_peak`."""
    try:
        fields = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
