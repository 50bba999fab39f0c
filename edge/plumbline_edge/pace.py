"""How often to run the network: for every picture of the camera, less when the device is hot or held back."""

from __future__ import annotations

import threading
from typing import Final

from plumbline_edge.climate import Climate

WARM_CELSIUS: Final = 75.0
HOT_CELSIUS: Final = 84.0
"""A Pi 4's firmware lowers its clock from 80 degrees and stops at 85."""
LEAST_DUTY: Final = 0.5
HELD_BACK_DUTY: Final = 0.7
"""Share of the time that inference may take while the firmware holds the clock down."""
SMOOTHING: Final = 0.1
"""Weight of the newest frame in the mean of what a frame costs."""


def allowed_duty(climate: Climate) -> float:
    """The share of the time that inference may take: 1 when cool, falling to LEAST_DUTY when hot."""
    duty = HELD_BACK_DUTY if climate.flags - {"under_voltage"} else 1.0
    if climate.temperature_celsius is None:
        return duty
    share = (climate.temperature_celsius - WARM_CELSIUS) / (HOT_CELSIUS - WARM_CELSIUS)
    return min(duty, 1 - (1 - LEAST_DUTY) * min(max(share, 0.0), 1.0))


class Pace:
    """Tells the inference thread how long to rest after each frame."""

    def __init__(self, max_fps: float) -> None:
        """`max_fps` 0: no limit."""
        self._least_interval_seconds = 1 / max_fps if max_fps > 0 else 0.0
        self._busy_seconds: float | None = None
        self._duty = 1.0
        self._lock = threading.Lock()

    def adapt(self, climate: Climate) -> None:
        """Take in how the device does; called every few seconds."""
        with self._lock:
            self._duty = allowed_duty(climate)

    def interval_seconds(self, busy_seconds: float) -> float:
        """The time between the starts of this frame, which kept the processor busy for so long, and of the next."""
        with self._lock:
            mean = busy_seconds if self._busy_seconds is None else self._busy_seconds
            self._busy_seconds = mean + SMOOTHING * (busy_seconds - mean)
            return max(self._least_interval_seconds, self._busy_seconds / self._duty if self._duty < 1 else 0.0)
