"""How fast frames pass and how long they take, over the last seconds or over everything."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

import numpy as np

from plumbline_edge.logs import warn

MAX_SAMPLES = 100_000
LEAST_FPS: Final = 4.0
"""Of fewer pictures a second repetitions and their faults are missed (docs/coach.md)."""
SLOW_SECONDS: Final = 10.0


class Meter:
    """Frames with their time of completion and latency; `window_seconds` None keeps up to MAX_SAMPLES of them."""

    def __init__(self, window_seconds: float | None = None) -> None:
        self._window_seconds = window_seconds
        self._samples: deque[tuple[float, float]] = deque(maxlen=MAX_SAMPLES)
        self._lock = threading.Lock()

    def record(self, completed_at: float, latency_seconds: float) -> None:
        """Note a frame completed at this time.monotonic()."""
        with self._lock:
            self._samples.append((completed_at, latency_seconds))
            self._forget(completed_at)

    def fps(self, now: float) -> float:
        """Frames a second; 0 with fewer than two frames in the window."""
        with self._lock:
            self._forget(now)
            if len(self._samples) < 2:
                return 0.0
            span = self._samples[-1][0] - self._samples[0][0]
            return (len(self._samples) - 1) / span if span > 0 else 0.0

    def p95_latency_seconds(self) -> float:
        """The 95th percentile of the latencies; 0 without any."""
        with self._lock:
            latencies = [latency for _, latency in self._samples]
        return float(np.percentile(latencies, 95)) if latencies else 0.0

    def _forget(self, now: float) -> None:
        if self._window_seconds is None:
            return
        while self._samples and self._samples[0][0] < now - self._window_seconds:
            self._samples.popleft()


class Slowness:
    """Warns once of each time in which too few pictures are looked at; none at all is another matter."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._has_warned = False

    def note(self, now: float, fps: float) -> None:
        """Take the frames a second of this time.monotonic()."""
        if not 0 < fps < LEAST_FPS:
            self._since, self._has_warned = None, False
            return
        self._since = now if self._since is None else self._since
        if not self._has_warned and now - self._since >= SLOW_SECONDS:
            self._has_warned = True
            warn(
                f"{fps:.1f} pictures a second are looked at: below {LEAST_FPS:g} repetitions and faults are missed;"
                " raise max_fps, choose a smaller bundle or cool the device"
            )
