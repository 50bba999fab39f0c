"""When something was, by a wall clock that is set meanwhile: a Pi has no right one before it could ask for the time."""

from __future__ import annotations

import time


def since_boot() -> float:
    """Seconds that no setting of the clock changes; asleep ones too, which time.monotonic() leaves out."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def booted_at() -> float:
    """When the machine started, by the wall clock as it is set now; seconds since 1970.

    With what since_boot() said of a moment, that moment; it changes when the clock is set.
    """
    return time.time() - since_boot()
